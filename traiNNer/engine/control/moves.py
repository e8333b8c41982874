"""How a knob is moved for an automation: bounded, counted, recorded, told to everyone, and taken back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from traiNNer.batch import BatchPlan
from traiNNer.engine.control.decision_log import DecisionLog
from traiNNer.engine.control.events import KnobChanged, SetKnob, Undo
from traiNNer.engine.control.knobs import BATCH_SIZE, GRAD_SKIP, LR_BATCH, LR_FACTOR, MICRO_BATCH, Knobs
from traiNNer.engine.control.purse import Purse
from traiNNer.engine.control.slot import Slot
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime

SMALLEST_CHANGE = 0.01
SIZES = (MICRO_BATCH, BATCH_SIZE)
NEUTRAL = (MICRO_BATCH, GRAD_SKIP)
"""An exact split of a batch and the skipping of explosions: moves that harm no healthy run."""


@dataclass(eq=False)
class Moves:
    """Moves the knobs of a run.

    Args:
        slots: of all automations: they hear of every move.
        knobs: what is moved.
        runtime: ranks and device.
        logbook: where warnings are written.
        log: where moves are recorded.
        plan: the sizes of the loader's batches.
        purse: once it is empty, only protection moves.
        memory: for how many iterations an alarm may be about a move, and a move that was taken back is not repeated.
        shadow: record moves without making them.
    """

    slots: Sequence[Slot]
    knobs: Knobs
    runtime: Runtime
    logbook: Logbook
    log: DecisionLog
    plan: BatchPlan
    purse: Purse
    memory: int
    shadow: bool = False
    _suspects: list[list[Any]] = field(default_factory=list)  # iteration, name of the slot, knob, value before

    def make(self, iteration: int, slot: Slot, decision: SetKnob) -> None:
        """Move a knob as decided, unless it is stuck or would hardly move."""
        knob = self.knobs[decision.knob]
        old, new = knob.value, knob.clamp(decision.value)
        if not differs(decision.knob, old, new) or self._refuses(iteration, slot, decision, new):
            return
        # A larger batch comes later, and only then may its learning rate.
        knob.set(new, iteration + (self.plan.lead if decision.knob == LR_BATCH else 0))
        self._resize(iteration, decision.knob, new)
        self.purse.count_move()
        if not decision.forced:
            slot.count(decision.knob, new > old)
        if is_risky(decision, old, new):
            self._suspects = [*self._recent(iteration), [iteration, slot.name, decision.knob, old]]
        self.log.knob(iteration, slot, decision, old, new)
        self.tell(iteration, decision.knob, old, new)
        if not decision.forced:
            self._limit(iteration, slot, decision.knob)

    def undo(self, iteration: int, asker: Slot, decision: Undo) -> None:
        """Take back what another automation did lately, the last one that did anything, and let it rest as long.

        All that it did within the optimizer's memory counts as one move: many small steps are one large one.
        """
        recent = self._recent(iteration)
        name = next((who for _, who, *_ in reversed(recent) if who != asker.name), None)
        slot = next((slot for slot in self.slots if slot.name == name), None)
        self._suspects = [one for one in recent if one[1] != name]
        if slot is None:
            return
        reason = f"undone by {asker.name}: {decision.reason}"
        # Read backwards, the value before the first move of a knob is what remains.
        for knob, before in {one[2]: one[3] for one in reversed(recent) if one[1] == name}.items():
            self.make(iteration, slot, SetKnob(knob, before, reason, decision.evidence, forced=True))
        slot.rest(iteration + self.memory)

    def tell(self, iteration: int, knob: str, old: float, new: float) -> None:
        """Tell every automation that a knob was moved."""
        event = KnobChanged(iteration, knob, old, new)
        for slot in self.slots:
            if slot.listens:
                failed = self.runtime.is_main and not slot.succeeds("change", partial(slot.automation.on_change, event))
                if self.runtime.from_main(failed):
                    self.disable(iteration, slot, "its change rule failed")

    def disable(self, iteration: int, slot: Slot, reason: str) -> None:
        """Switch an automation off and move its knobs to their fallback."""
        if slot.is_off:
            return
        slot.switch_off()
        moved = []
        for name, knob in slot.claims.items():
            if name == MICRO_BATCH and not callable(knob.fallback):
                knob.fall_back_to(min(knob.fallback, knob.value))  # what does not fit now will not fit then
            old = knob.at(iteration)
            knob.disable()
            new = knob.at(iteration)
            moved.append(f"{name} {old:.4g} -> {new:.4g}")
            if new != old:
                self._resize(iteration, name, new)
                self.tell(iteration, name, old, new)
        self.log.action(iteration, slot, "fallback", reason, {"active": ", ".join(moved)}, "")
        active = f" Active: {', '.join(moved)}." if moved else ""
        self.logbook.warn(
            f"Automation {slot.name} is disabled for the rest of the run: {reason}.{active} Training continues."
        )

    def _recent(self, iteration: int) -> list[list[Any]]:
        return [one for one in self._suspects if one[0] > iteration - self.memory]

    def _refuses(self, iteration: int, slot: Slot, decision: SetKnob, new: float) -> bool:
        knob = self.knobs[decision.knob]
        if knob.is_disabled or (slot.is_frozen and not decision.forced):
            return True
        is_return = decision.knob == LR_FACTOR and knob.value < new <= 1.0
        must_wait = iteration < slot.rests_until or (self.purse.is_empty and not is_return)
        return must_wait and is_risky(decision, knob.value, new)

    def _resize(self, iteration: int, knob: str, size: float) -> None:
        """Follow a change of a size: order larger batches, and let the next window show the peak of the new size."""
        if knob == BATCH_SIZE and not self.shadow:
            self.plan.change(iteration, int(size))
        if knob in SIZES:
            self.runtime.release_memory()
            self.runtime.memory()

    def _limit(self, iteration: int, slot: Slot, knob: str) -> None:
        """Freeze the knobs of an automation that used up its adjustments; disable one that oscillates."""
        if slot.oscillates(knob):
            self.disable(iteration, slot, f"{knob} oscillates")
        elif slot.adjustments >= slot.automation.max_adjustments and not slot.is_frozen:
            slot.freeze()
            self.logbook.warn(
                f"Automation {slot.name}: max_adjustments ({slot.adjustments}) is reached; {knob} stays at "
                f"{self.knobs[knob].value:.4g}. Protection stays on."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the moves that may still be taken back."""
        return {"suspects": [list(one) for one in self._suspects]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._suspects = [list(one) for one in state["suspects"]]


def is_risky(decision: SetKnob, old: float, new: float) -> bool:
    """Whether a move may harm a healthy run: a voluntary one, or a larger batch, whose companion moves do not count."""
    grows = decision.knob in (BATCH_SIZE, LR_BATCH) and new > old
    return decision.knob not in NEUTRAL and (not decision.forced or grows)


def differs(knob: str, old: float, new: float) -> bool:
    """Whether a move is one: more than 1 %, for sizes any."""
    if knob in SIZES or math.isinf(old) or math.isinf(new):
        return old != new
    return abs(new - old) > SMALLEST_CHANGE * abs(old)
