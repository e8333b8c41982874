"""What the decisions of automations do to a run: moved knobs, snapshots and rollbacks, the end, lines for the user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from traiNNer.engine.control.events import (
    Decision,
    Disable,
    KeepSnapshot,
    MeasureTerms,
    Probe,
    Rollback,
    RunStarted,
    Say,
    SetKnob,
    Stop,
    Undo,
)
from traiNNer.engine.control.knobs import LR_FACTOR
from traiNNer.engine.control.moves import Moves
from traiNNer.engine.control.slot import Slot

Actions = Mapping[type, Callable[[Any], bool | None]]


@dataclass(eq=False)
class Effects:
    """Carries out decisions, and keeps account of what they cost.

    Args:
        run: what the automations know of the run.
        moves: of the knobs; where and whether these are recorded or only pretended holds for all decisions.
        actions: what only the training can do, by type of decision (`KeepSnapshot`, `Rollback`, `MeasureTerms`).
    """

    run: RunStarted
    moves: Moves
    actions: Actions
    stop: Stop | None = None
    stopped_by: str = ""
    rollbacks: int = 0
    _is_probe_wanted: bool = False
    _measure_until: int = 0
    _kept_at: int = 0

    def __post_init__(self) -> None:
        self.purse, self.logbook, self.shadow = self.moves.purse, self.moves.logbook, self.moves.shadow

    def apply(self, iteration: int, slot: Slot, decision: Decision) -> None:
        """Carry out one decision of an automation."""
        match decision:
            case SetKnob():
                self.moves.make(iteration, slot, decision)
            case Undo():
                self.moves.undo(iteration, slot, decision)
            case Disable():
                self.moves.disable(iteration, slot, decision.reason)
            case Say():
                tell = self.logbook.warn if decision.warn else self.logbook.info
                tell(f"Automation {slot.name}: {decision.text}")
            case Stop():
                self._end(iteration, slot, decision)
            case KeepSnapshot():
                self._act(decision)
                self._kept_at = iteration
            case Probe():
                self._is_probe_wanted = True
            case MeasureTerms():
                self._measure(iteration, decision.iterations)
            case Rollback():
                self._roll_back(iteration, slot, decision)

    def begin(self, iteration: int) -> None:
        """Go on measuring loss terms where a run before was interrupted."""
        if iteration < self._measure_until:
            self.actions[MeasureTerms](MeasureTerms(self._measure_until - iteration))

    def after_step(self, iteration: int) -> None:
        """End the measuring of loss terms, and count an iteration under a temporary cut of the learning rate."""
        if self._measure_until and iteration >= self._measure_until:
            self._measure(iteration, 0)
        if self.moves.knobs[LR_FACTOR].is_below(iteration - 1):
            self._spend(iteration, 1)

    def take_probe(self) -> bool:
        """Return whether a probe was asked for since the last call."""
        wanted, self._is_probe_wanted = self._is_probe_wanted, False
        return wanted

    def _end(self, iteration: int, slot: Slot, decision: Stop) -> None:
        text = f"Early stopping triggered - {decision.reason}"
        self.moves.log.action(iteration, slot, "stop", decision.reason, decision.evidence, text)
        if self.stop is None and not self.shadow:
            self.stop, self.stopped_by = decision, slot.name

    def _roll_back(self, iteration: int, slot: Slot, decision: Rollback) -> None:
        is_done = bool(self._act(decision))
        self.rollbacks += is_done
        to_average = decision.to == "average" and self.run.has_average
        weights = "their average" if to_average else "the last good weights"
        text = f"Rolled back to {weights}; training continues. Reason: {decision.reason}"
        told = text if is_done or self.shadow else f"there are no good weights to return to ({decision.reason})"
        lost = 0 if to_average or not is_done else iteration - self._kept_at
        self.moves.log.action(iteration, slot, "rollback", decision.reason, {**decision.evidence, "lost": lost}, told)
        self._spend(iteration, lost)

    def _spend(self, iteration: int, lost: int) -> None:
        if self.purse.spend(lost):
            self.logbook.info(f"Automations: from iteration {iteration:,} on they only protect ({self.purse}).")

    def _act(self, decision: Decision) -> bool | None:
        return None if self.shadow else self.actions[type(decision)](decision)

    def _measure(self, iteration: int, iterations: int) -> None:
        self._measure_until = iteration + iterations if iterations else 0
        self.actions[MeasureTerms](MeasureTerms(iterations))  # measuring changes nothing, so a shadow may

    def state_dict(self) -> dict[str, Any]:
        """Return what was decided and is still under way, and what it cost."""
        return {
            "stopped": [self.stopped_by, self.stop.reason, self.stop.best, self.stop.failed] if self.stop else None,
            "measure_until": self._measure_until,
            "is_probe_wanted": self._is_probe_wanted,
            "kept_at": self._kept_at,
            "moves": self.moves.state_dict(),
            "purse": self.purse.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], stays_stopped: Callable[[str], bool]) -> None:
        """Restore what `state_dict` returned; a run stays ended by an automation that `stays_stopped` accepts."""
        if state["stopped"] and stays_stopped(state["stopped"][0]):
            self.stopped_by, reason, best, failed = state["stopped"]
            self.stop = Stop(reason, best=best, failed=failed)
        self._measure_until, self._kept_at = state["measure_until"], state["kept_at"]
        self._is_probe_wanted = state["is_probe_wanted"]
        self.moves.load_state_dict(state["moves"])
        self.purse.load_state_dict(state["purse"])
