"""The base of every training automation: hooks that do nothing by default, bounds, memory."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any, ClassVar

from traiNNer.config.automation_rules import OptionRules
from traiNNer.engine.control.events import (
    Decision,
    KnobChanged,
    ProbeFinished,
    RunStarted,
    StepFailed,
    ValidationFinished,
    WindowFinished,
)
from traiNNer.engine.control.knobs import Knobs, Range

NEVER = 10**12
"""For `every`: no more windows."""


class Automation(OptionRules):
    """Watches a run and answers events with decisions; the host checks, applies, records and counts them.

    An automation sees plain numbers, acts through decisions, and draws no random numbers, so that a resumed run
    decides as an uninterrupted one would. All that it remembers between events is in the attributes that `remembering`
    declares: plain numbers, texts, lists and dictionaries, and dataclasses of these.
    """

    title: str = ""
    """Name in the summary line at the end of a run."""
    remembered: Sequence[str] = ()
    """Attributes that are saved in the training state."""
    needs: str | None = None
    """What it cannot do without: `signal`, `grad_norm`, `memory` or a metric's name; absent long, it is disabled."""

    has_fallback_rule: bool = False
    """Whether `fallback_rule` receives validations after the automation was disabled."""
    answers_out_of_memory: ClassVar[bool] = False
    """Whether `on_failure` can make the micro-batch smaller after a step ran out of memory."""
    is_per_learner: ClassVar[bool] = False
    """Whether every learner has one: it moves knobs that each learner has, by what its steps show."""
    every: int = 50
    """Iterations after which it wants a window; it gets one also when another automation does."""
    max_adjustments: int = 50
    """Voluntary changes before its knobs are frozen."""
    knobs: Knobs
    """The knobs of the run, to read."""

    @classmethod
    def knobs_when_disabled(cls, options: Any) -> Mapping[str, float]:  # noqa: ARG003 - hooks offer what others need
        """Return the values of knobs that the section leaves behind when it alone is switched off."""
        return {}

    @classmethod
    def finishes(cls, options: Any, optimizer: str) -> bool:  # noqa: ARG003
        """Return whether a run whose file has no schedule ends with a linear decay of the learning rate to zero."""
        return False

    @classmethod
    def watched_scores(cls, options: Any) -> Iterable[str]:  # noqa: ARG003
        """Return the scores whose best weights are to be kept for it, such as `set5/psnr`."""
        return ()

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Declare the attributes that are set in the block, with their values at the start, as `remembered`."""
        others = set(vars(self))
        yield
        self.remembered = [*self.remembered, *(name for name in vars(self) if name not in others)]

    def attach(self, knobs: Knobs) -> None:
        """Take the knobs of the run, to look at; before everything below."""
        self.knobs = knobs

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:  # noqa: ARG002 - hooks offer what others need
        """Return bounds, start and fallback of the knobs that this automation moves."""
        return {}

    def on_start(self, run: RunStarted) -> Iterable[Decision]:  # noqa: ARG002
        """Learn about the run, before the first iteration and after a resume (the memory is there already)."""
        return ()

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:  # noqa: ARG002
        """Look at the iterations since the last window."""
        return ()

    def on_validation(self, event: ValidationFinished) -> Iterable[Decision]:  # noqa: ARG002
        """Look at the scores of a validation."""
        return ()

    def on_probe(self, event: ProbeFinished) -> Iterable[Decision]:  # noqa: ARG002
        """Look at the errors on the probe."""
        return ()

    def fallback_rule(self, event: ValidationFinished) -> Iterable[Decision]:  # noqa: ARG002
        """Look at the scores after giving up, where a simple rule is wanted as fallback."""
        return ()

    def on_failure(self, event: StepFailed) -> Iterable[Decision]:  # noqa: ARG002
        """Answer a step that failed; what moves the cause out of the way lets the run go on."""
        return ()

    def on_change(self, event: KnobChanged) -> None:
        """Hear that a knob was moved, by this automation or another one."""

    def summary(self) -> str:
        """Return what it did in the run, in a few words."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return the memory as plain values."""
        found = {name: getattr(self, name) for name in self.remembered}
        return copy.deepcopy({name: vars(value) if is_dataclass(value) else value for name, value in found.items()})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; what a file of another version lacks keeps its start value."""
        for name in self.remembered:
            if name not in state:
                continue
            if is_dataclass(record := getattr(self, name)):
                vars(record).update(copy.deepcopy(state[name]))
            else:
                setattr(self, name, copy.deepcopy(state[name]))
