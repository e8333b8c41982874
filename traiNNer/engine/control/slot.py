"""One automation in its host: what it claims, how often it acted and missed its input, and calls that cannot hurt."""

import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, get_args

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Decision, Disable, RunStarted, SetKnob
from traiNNer.engine.control.knobs import Knob, Knobs
from traiNNer.engine.log.logbook import Logbook

MISSES_ALLOWED = 100
REVERSALS, AMONG = 4, 10
COUNTERS = ("adjustments", "is_off", "is_frozen", "rests_until", "misses", "directions")


class Decided(NamedTuple):
    """What an automation answers, and which windows and input it wants from now on: what other ranks need to know."""

    decisions: list[Decision]
    every: int
    needs: str | None


class Slot:
    """An automation by the name that messages use.

    Args:
        name: as in the option file.
        automation: the automation itself.
        run: what it learns about the run.
        knobs: those of the run; the ones that it claims get its bounds.
        logbook: where its exceptions are shown.
        strict: let them end the run instead.
    """

    def __init__(
        self, name: str, automation: Automation, run: RunStarted, knobs: Knobs, logbook: Logbook, strict: bool = False
    ) -> None:
        self.name = name
        self.automation = automation
        self.logbook = logbook
        self.strict = strict
        self._shown: set[str] = set()
        self.every, self.needs = automation.every, automation.needs
        self.adjustments = self.misses = self.rests_until = 0
        self.is_off = self.is_frozen = False
        self.directions: dict[str, list[int]] = {}
        automation.attach(knobs)
        claims = self.call("ranges", lambda: {knob: (knobs[knob], at) for knob, at in automation.ranges(run).items()})
        self.has_failed = claims is None
        self.claims: Mapping[str, Knob] = {knob: one for knob, (one, _) in (claims or {}).items()}
        for knob, wanted in (claims or {}).values():
            knob.configure(wanted)

    @property
    def listens(self) -> bool:
        """Whether it receives events."""
        return not self.is_off

    @property
    def wants_probe(self) -> bool:
        """Whether it looks at the regular probe."""
        return self.listens and type(self.automation).on_probe is not Automation.on_probe

    @property
    def uses_fallback_rule(self) -> bool:
        """Whether it is disabled but has a fallback rule that stays active."""
        return self.is_off and self.automation.has_fallback_rule

    def decide(self, hook: str, ask: Callable[[Automation], Iterable[Decision]], knobs: Sequence[str]) -> "Decided":
        """Ask the automation. One that raises, or decides what cannot be, is disabled."""
        found = self.call(hook, lambda: [checked(decision, knobs) for decision in ask(self.automation)])
        decisions: list[Decision] = [Disable(f"its {hook} rule failed")] if found is None else found
        return Decided(decisions, self.automation.every, self.automation.needs)

    def hear(self, answer: Decided) -> None:
        """Note on every rank which windows and input it wants from now on."""
        self.every, self.needs = answer.every, answer.needs

    def freeze(self) -> None:
        """Let its knobs stay where they are, but for forced moves."""
        self.is_frozen = True
        for knob in self.claims.values():
            knob.freeze()

    def rest(self, until: int) -> None:
        """Let it make no risky move before an iteration, as its last one was taken back."""
        self.rests_until = until

    def switch_off(self) -> None:
        """Let it hear no more events; its knobs are disabled one by one, as each is recorded."""
        self.is_off = True

    def succeeds(self, hook: str, do: Callable[[], Any]) -> bool:
        """Call the automation for its own sake; whether it went well."""
        return self.call(hook, lambda: [do()]) is not None

    def call(self, hook: str, ask: Callable[[], Any]) -> Any:
        """Call the automation; what it raises is shown once and answered with None."""
        try:
            return ask()
        except Exception:
            if self.strict:
                raise
            if hook not in self._shown:
                self._shown.add(hook)
                self.logbook.info(f"{traceback.format_exc()}(in the {hook} rule of automation {self.name})")
            return None

    def count(self, knob: str, is_up: bool) -> None:
        """Count a voluntary adjustment."""
        self.adjustments += 1
        self.directions.setdefault(knob, []).append(1 if is_up else -1)
        del self.directions[knob][:-AMONG]

    def oscillates(self, knob: str) -> bool:
        """Whether a knob changed its direction too often lately."""
        return reversals(self.directions.get(knob, [])) >= REVERSALS

    def misses_input(self, value: float) -> bool:
        """Note an observation that it needs; return whether too many in a row were NaN."""
        self.misses = 0 if math.isfinite(value) else self.misses + 1
        return self.misses >= MISSES_ALLOWED

    def state_dict(self) -> dict[str, Any]:
        """Return the automation's memory and the counts."""
        memory = self.call("state", self.automation.state_dict)
        return {name: getattr(self, name) for name in COUNTERS} | {"memory": memory}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in COUNTERS:
            setattr(self, name, state[name])
        if state["memory"] is not None:
            self.call("state", lambda: self.automation.load_state_dict(state["memory"]))


def reversals(moves: Sequence[int]) -> int:
    """Return how often the direction changed in a list of +1 and -1."""
    return sum(before != after for before, after in pairwise(moves))


def checked(decision: Any, knobs: Sequence[str]) -> Decision:
    """Return a decision with plain numbers. Raises `TypeError` or `ValueError` for one that cannot be carried out."""
    if not isinstance(decision, get_args(Decision)):
        raise TypeError(f"{decision!r} is not a decision")
    if isinstance(decision, SetKnob):
        if decision.knob not in knobs:
            raise ValueError(f"there is no knob '{decision.knob}'; known: {', '.join(knobs)}")
        decision = replace(decision, value=float(decision.value))
        if math.isnan(decision.value):
            raise ValueError(f"{decision.knob} cannot be set to a value that is not a number")
    evidence = getattr(decision, "evidence", None)
    return decision if not evidence else replace(decision, evidence={k: _plain(v) for k, v in evidence.items()})


def _plain(value: Any) -> Any:
    """Return numbers of numpy and torch as Python's, and anything else but texts as its text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.item() if hasattr(value, "item") else str(value)
