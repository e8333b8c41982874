"""An automation that watches another learner than the main one: the same rules, for that one's steps and knobs."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Decision, KnobChanged, RunStarted, SetKnob, WindowFinished
from traiNNer.engine.control.knobs import Knobs, Range


class OfLearner(Automation):
    """Lets an automation believe that a learner is the main one.

    Args:
        automation: hears of windows and of changed knobs; other events are not about a single learner.
        learner: its name, such as `net_d`.
    """

    def __init__(self, automation: Automation, learner: str) -> None:
        self.automation = automation
        self.learner = learner
        self.prefix = f"{learner}."
        self.title = f"{automation.title} of {learner}" if automation.title else ""
        self.every = automation.every
        self.max_adjustments = automation.max_adjustments

    def attach(self, knobs: Knobs) -> None:
        """Show the knobs of the learner under the names of the main one's; those of the run stay as they are."""
        self.knobs = knobs
        view = Knobs()
        view.clear()
        view.update({name: knob for name, knob in knobs.items() if not name.startswith(self.prefix)})
        view.update({name.removeprefix(self.prefix): knob for name, knob in knobs.items() if name not in view})
        self.automation.attach(view)

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Return what the automation wants of the learner's knobs."""
        return {self.prefix + name: wanted for name, wanted in self.automation.ranges(run).items()}

    def on_start(self, run: RunStarted) -> Iterable[Decision]:
        """Let it learn about the run."""
        return self._renamed(self.automation.on_start(run))

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Show it the steps of the learner; nothing of a window in which the learner was not trained."""
        steps = event.others.get(self.learner)
        return self._renamed(self.automation.on_window(replace(event, steps=steps))) if steps else ()

    def on_change(self, event: KnobChanged) -> None:
        """Let it hear of the learner's knobs alone."""
        if event.knob.startswith(self.prefix):
            self.automation.on_change(replace(event, knob=event.knob.removeprefix(self.prefix)))

    def summary(self) -> str:
        """Return what it did."""
        return self.automation.summary()

    def state_dict(self) -> dict[str, Any]:
        """Return its memory."""
        return self.automation.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.automation.load_state_dict(state)

    def _renamed(self, decisions: Iterable[Decision]) -> list[Decision]:
        return [replace(one, knob=self.prefix + one.knob) if isinstance(one, SetKnob) else one for one in decisions]
