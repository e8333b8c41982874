"""Every decision as one line for the user and one entry in `decisions.jsonl`."""

from collections.abc import Callable, Mapping
from typing import Any

from traiNNer.engine.control.events import SetKnob
from traiNNer.engine.control.knobs import BATCH_SIZE, GRAD_CLIP, LR_FACTOR, MICRO_BATCH
from traiNNer.engine.control.slot import Slot
from traiNNer.engine.log.logbook import Logbook

SENTENCES = {
    LR_FACTOR: "LR multiplier {old:.2f} -> {new:.2f} (LR {rate:.1e}), reason: {reason}",
    MICRO_BATCH: "Batch size adjusted from {old:g} to {new:g} due to {reason}",
    BATCH_SIZE: "Effective batch size adjusted from {old:g} to {new:g} due to {reason}",
    GRAD_CLIP: "grad_clip_threshold adjusted from {old:.3g} to {new:.3g} due to {reason}",
}
OTHER_KNOB = "{knob} {old:.4g} -> {new:.4g}, reason: {reason}"


class DecisionLog:
    """Writes decisions as they were applied; in shadow mode it says that they were not."""

    def __init__(self, logbook: Logbook, learning_rate: Callable[[int], float], shadow: bool = False) -> None:
        self.logbook = logbook
        self.learning_rate = learning_rate
        self.shadow = shadow

    def knob(self, iteration: int, slot: Slot, decision: SetKnob, old: float, new: float) -> None:
        """Tell that a knob was moved."""
        clamped = {} if new == decision.value else {"clamped_from": decision.value}
        entry = {"knob": decision.knob, "old": old, "new": new, "reason": decision.reason}
        self._write(iteration, slot, entry | {"evidence": {**decision.evidence, **clamped}})
        text = SENTENCES.get(decision.knob, OTHER_KNOB).format(
            knob=decision.knob, old=old, new=new, reason=decision.reason, rate=self.learning_rate(iteration)
        )
        self.say(slot, f"{text}{' (bounded)' if clamped else ''}")

    def action(
        self, iteration: int, slot: Slot, action: str, reason: str, evidence: Mapping[str, Any], text: str
    ) -> None:
        """Tell of something other than a knob: `rollback`, `stop`, `fallback`."""
        self._write(
            iteration,
            slot,
            {"knob": None, "old": None, "new": None, "action": action, "reason": reason} | {"evidence": dict(evidence)},
        )
        if text:
            self.say(slot, text)

    def say(self, slot: Slot, text: str) -> None:
        """Write the line of a decision."""
        self.logbook.info(f"Automation {slot.name}: {text}{' (shadow: not applied)' if self.shadow else ''}")

    def _write(self, iteration: int, slot: Slot, entry: Mapping[str, Any]) -> None:
        shadow = {"shadow": True} if self.shadow else {}
        about = {"automation": slot.name, **entry, "n_adjustments": slot.adjustments, **shadow}
        self.logbook.decision(iteration, about)
