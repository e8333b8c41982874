"""Where the training automations live: they receive events, and what they decide is checked, applied and recorded.

An automation can fail without harm: one that raises, misses its input or oscillates is disabled, its knobs move to
their fallback, and the run continues. Rank 0 asks the automations; every rank applies what they decide.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from traiNNer.batch import BatchPlan
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.decision_log import DecisionLog
from traiNNer.engine.control.events import (
    Decision,
    Disable,
    KeepSnapshot,
    KnobChanged,
    MeasureTerms,
    Rollback,
    RunStarted,
    Say,
    SetKnob,
    StepFailed,
    Stop,
    ValidationFinished,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, LR_BATCH, MICRO_BATCH, Knobs
from traiNNer.engine.control.observations import Observations
from traiNNer.engine.control.slot import MISSES_ALLOWED, Slot
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step_report import StepReport

SMALLEST_CHANGE = 0.01
SIZES = (MICRO_BATCH, BATCH_SIZE)
REPEATS_ALLOWED = 2
Rule = Callable[[Automation], Iterable[Decision]]


class AutomationHost:
    """Runs the automations of a run.

    Args:
        automations: by the name that messages use, in the order in which they are asked.
        run: what they know of the run.
        knobs: what they may move.
        runtime: ranks and device.
        logbook: where decisions are written.
        actions: what only the training can do, by type of decision (`KeepSnapshot`, `Rollback`, `MeasureTerms`).
        plan: the sizes of the loader's batches, which a knob may change.
        learning_rate: the learning rate that is applied at an iteration, counted from 0.
        options: the options of every automation; a run that one of them ended stays ended only while they are the same.
        strict: let an exception of an automation end the run.
        shadow: record decisions without applying them.
    """

    def __init__(
        self,
        automations: Mapping[str, Automation],
        run: RunStarted,
        knobs: Knobs,
        runtime: Runtime,
        logbook: Logbook,
        actions: Mapping[type, Callable[[Any], bool | None]],
        plan: BatchPlan,
        learning_rate: Callable[[int], float],
        options: Mapping[str, Any] | None = None,
        strict: bool = False,
        shadow: bool = False,
    ) -> None:
        self.run = run
        self.knobs = knobs
        self.runtime = runtime
        self.logbook = logbook
        self.shadow = shadow
        self.actions = actions
        self.stop: Stop | None = None
        self.stopped_by = ""
        self.plan = plan
        self.iteration = 0
        self._options = dict(options or {})
        self._log = DecisionLog(logbook, learning_rate, shadow)
        self._observations = Observations(runtime, run.anchor)
        self._measure_until = 0
        self._repeats = self._reported = 0
        self._has_rolled_back = False
        if shadow:
            for knob in knobs.values():
                knob.shadow()
        self.slots = [Slot(name, one, run, knobs, logbook, strict) for name, one in automations.items()]

    @property
    def halves_tiles(self) -> bool:
        """Whether a validation that runs out of memory is done again in smaller tiles."""
        return not self.shadow and any(slot.automation.answers_out_of_memory for slot in self.slots)

    @property
    def answers_out_of_memory(self) -> bool:
        """Whether a step that runs out of memory can be done again in smaller micro-batches."""
        return self.halves_tiles and self.run.can_split

    # Events

    def start(self, iteration: int) -> None:
        """Notify the automations that the run begins, or continues, after `iteration`."""
        self.iteration = self._reported = iteration
        self.run = replace(self.run, iteration=iteration)
        if iteration < self._measure_until:
            self.actions[MeasureTerms](MeasureTerms(self._measure_until - iteration))
        for slot in self.slots:
            if slot.has_failed:
                self._disable(slot, "its ranges rule failed")
        self._ask("start", lambda automation: automation.on_start(self.run))
        for slot in self.slots:  # a disabled one may still have a simple rule and a summary
            if slot.is_off and self.runtime.is_main:
                slot.call("start", lambda automation=slot.automation: list(automation.on_start(self.run)))

    def expect_end(self, total_iter: int, is_running: bool = False) -> None:
        """Let the run end at another iteration than the automations know; while it runs, they are told at once."""
        self.run = replace(self.run, total_iter=total_iter, iteration=self.iteration)
        if is_running:  # as in a resume with another length, whose first words were said before
            self._ask("start", lambda automation: [d for d in automation.on_start(self.run) if not isinstance(d, Say)])

    def after_step(self, iteration: int, report: StepReport) -> None:
        """Note an iteration; where an automation's window is full, read it and notify the automations."""
        self.iteration = self._reported = iteration
        self._repeats = 0
        if any(slot.every <= self.run.total_iter for slot in self.slots if slot.listens):
            self._observations.add(report)
        if self._measure_until and iteration >= self._measure_until:
            self._measure(0)
        if any(iteration % max(1, slot.every) == 0 for slot in self.slots if slot.listens):
            self._finish_window()

    def after_validation(self, iteration: int, scores: Mapping[str, float]) -> None:
        """Tell the scores of a validation; there are none where they could not be computed."""
        self.iteration = iteration
        event = ValidationFinished(iteration, scores)
        self._ask("validation", lambda automation: automation.on_validation(event), partial(self._note_score, event))
        self._ask(
            "fallback", lambda automation: automation.fallback_rule(event), whom=lambda slot: slot.uses_fallback_rule
        )

    def out_of_memory(self) -> bool:
        """Ask for a smaller micro-batch after a step ran out of memory. Returns whether to try again."""
        knob = self.knobs[MICRO_BATCH]
        before = knob.at()
        self.iteration = self._reported + 1
        event = StepFailed(self.iteration, "out of memory")
        self._ask("failure", lambda automation: automation.on_failure(event))
        if knob.at() < before:
            return True
        if knob.is_disabled and before > 1:  # a disabled automation protects no longer
            knob.fall_back_to(half := math.ceil(before / 2))
            self.logbook.warn(f"Out of memory: the micro-batch is {half} from now on.")
            return True
        # The smallest size again: another program may have taken the memory for a moment.
        self._repeats += 1
        return self._repeats <= REPEATS_ALLOWED

    def not_finite(self) -> bool:
        """Tell that the run is about to end because nothing is finite. Returns whether an automation rewound it."""
        event = StepFailed(self.iteration, "not finite")
        self._has_rolled_back = False
        if not _rolls_back(self._finish_window()):  # an automation may have seen it in the window already
            self._ask("failure", lambda automation: automation.on_failure(event))
        return self._has_rolled_back

    def finish(self) -> None:
        """Say in one line what the automations did."""
        told = []
        for slot in self.slots if self.runtime.is_main else ():
            text = slot.call("summary", slot.automation.summary)
            title = f"{slot.automation.title}: " if slot.automation.title else ""
            told += [f"{title}{text}{' (disabled)' if slot.is_off else ''}"] if text else []
        if told:
            mark = " (shadow: nothing was applied)" if self.shadow else ""
            self.logbook.info(f"Automations{mark}: {'; '.join(told)}")

    def _finish_window(self) -> list[Decision]:
        event = self._observations.read(self.iteration, self.runtime.memory())
        if event is None:
            return []
        event = replace(event, batch=self._batch_of(event))
        self._compare_ranks()
        return self._ask("window", lambda automation: automation.on_window(event), partial(self._note_steps, event))

    def _batch_of(self, event: WindowFinished) -> int | None:
        """Return the loader's batch during a window; None while it changes."""
        sizes = {self.plan.size(event.iteration - 1 - back) for back in range(len(event.steps))}
        return sizes.pop() if len(sizes) == 1 else None

    # Asking

    def _ask(
        self,
        hook: str,
        rule: Rule,
        before: Callable[[Slot], None] = lambda _: None,
        whom: Callable[[Slot], bool] = lambda slot: slot.listens,
    ) -> list[Decision]:
        """Let the automations decide one after the other; a decision is applied before the next automation is asked."""
        taken: list[Decision] = []
        for slot in self.slots:
            before(slot)
            if whom(slot):
                known = tuple(self.knobs)
                answer = self.runtime.from_main(slot.decide(hook, rule, known) if self.runtime.is_main else None)
                slot.hear(answer)
                for decision in answer.decisions:
                    self._apply(slot, decision)
                taken += answer.decisions
        return taken

    def _note_steps(self, event: WindowFinished, slot: Slot) -> None:
        needed = slot.needs
        if needed == "memory":
            values = [math.nan if event.memory is None else event.memory.used]
        elif needed in ("signal", "grad_norm"):
            values = [step.signal() if needed == "signal" else step.grad_norm for step in event.steps]
        else:
            values = []
        for value in values:
            if slot.listens and slot.misses_input(value):
                self._disable(slot, f"{needed} was missing {MISSES_ALLOWED} times in a row")

    def _note_score(self, event: ValidationFinished, slot: Slot) -> None:
        needed = slot.needs or ""
        if needed in self.run.metrics and slot.listens and slot.misses_input(event.scores.get(needed, math.nan)):
            self._disable(slot, f"{needed} was missing {MISSES_ALLOWED} times in a row")

    def _compare_ranks(self) -> None:
        """Switch everything off when the ranks have come apart, which would train different networks."""
        values = {name: knob.value for name, knob in self.knobs.items()}
        if self.runtime.max_over_ranks(int(self.runtime.from_main(values) != values)):
            for slot in self.slots:
                self._disable(slot, "the ranks disagree about its knobs")

    # Applying

    def _apply(self, slot: Slot, decision: Decision) -> None:
        match decision:
            case SetKnob():
                self._set(slot, decision)
            case Disable():
                self._disable(slot, decision.reason)
            case Say():
                tell = self.logbook.warn if decision.warn else self.logbook.info
                tell(f"Automation {slot.name}: {decision.text}")
            case Stop():
                text = f"Early stopping triggered - {decision.reason}"
                self._log.action(self.iteration, slot, "stop", decision.reason, decision.evidence, text)
                if self.stop is None and not self.shadow:
                    self.stop, self.stopped_by = decision, slot.name
            case KeepSnapshot():
                self._act(decision)
            case MeasureTerms():
                self._measure(decision.iterations)
            case Rollback():
                done = self._act(decision)
                self._has_rolled_back |= bool(done)
                text = f"Rolled back to the last good weights; training continues. Reason: {decision.reason}"
                told = text if done or self.shadow else f"there are no good weights to return to ({decision.reason})"
                self._log.action(self.iteration, slot, "rollback", decision.reason, decision.evidence, told)

    def _act(self, decision: Decision) -> bool | None:
        return None if self.shadow else self.actions[type(decision)](decision)

    def _measure(self, iterations: int) -> None:
        self._measure_until = self.iteration + iterations if iterations else 0
        self.actions[MeasureTerms](MeasureTerms(iterations))  # measuring changes nothing, so a shadow may

    def _set(self, slot: Slot, decision: SetKnob) -> None:
        knob = self.knobs[decision.knob]
        old, new = knob.value, knob.clamp(decision.value)
        is_stuck = knob.is_disabled or (slot.is_frozen and not decision.forced)
        if is_stuck or not differs(decision.knob, old, new):
            return
        # A larger batch comes later, and only then may its learning rate.
        knob.set(new, self.iteration + (self.plan.lead if decision.knob == LR_BATCH else 0))
        self._resize(decision.knob, new)
        if not decision.forced:
            slot.count(decision.knob, new > old)
        self._log.knob(self.iteration, slot, decision, old, new)
        self._notify_change(decision.knob, old, new)
        if not decision.forced:
            self._limit(slot, decision.knob)

    def _notify_change(self, knob: str, old: float, new: float) -> None:
        event = KnobChanged(self.iteration, knob, old, new)
        for slot in self.slots:
            if slot.listens:
                failed = self.runtime.is_main and not slot.succeeds("change", partial(slot.automation.on_change, event))
                if self.runtime.from_main(failed):
                    self._disable(slot, "its change rule failed")

    def _resize(self, knob: str, size: float) -> None:
        """Follow a change of a size: order larger batches, and let the next window show the peak of the new size."""
        if knob == BATCH_SIZE and not self.shadow:
            self.plan.change(self.iteration, int(size))
        if knob in SIZES:
            self.runtime.release_memory()
            self.runtime.memory()

    def _limit(self, slot: Slot, knob: str) -> None:
        """Freeze the knobs of an automation that used up its adjustments; disable one that oscillates."""
        if slot.oscillates(knob):
            self._disable(slot, f"{knob} oscillates")
        elif slot.adjustments >= slot.automation.max_adjustments and not slot.is_frozen:
            slot.freeze()
            self.logbook.warn(
                f"Automation {slot.name}: max_adjustments ({slot.adjustments}) is reached; {knob} stays at "
                f"{self.knobs[knob].value:.4g}. Protection stays on."
            )

    def _disable(self, slot: Slot, reason: str) -> None:
        if slot.is_off:
            return
        slot.switch_off()
        moved = []
        for name, knob in slot.claims.items():
            if name == MICRO_BATCH and not callable(knob.fallback):
                knob.fall_back_to(min(knob.fallback, knob.value))  # what does not fit now will not fit then
            old = knob.at(self.iteration)
            knob.disable()
            new = knob.at(self.iteration)
            moved.append(f"{name} {old:.4g} -> {new:.4g}")
            if new != old:
                self._resize(name, new)
                self._notify_change(name, old, new)
        self._log.action(self.iteration, slot, "fallback", reason, {"active": ", ".join(moved)}, "")
        active = f" Active: {', '.join(moved)}." if moved else ""
        self.logbook.warn(
            f"Automation {slot.name} is disabled for the rest of the run: {reason}.{active} Training continues."
        )

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return what automations and knobs remember, and the iterations not yet inspected."""
        return {
            "slots": {slot.name: slot.state_dict() for slot in self.slots},
            "knobs": self.knobs.state_dict(),
            "observations": self._observations.state_dict(),
            "measure_until": self._measure_until,
            "stopped": [self.stopped_by, self.stop.reason, self.stop.best, self.stop.failed] if self.stop else None,
            "plan": [list(change) for change in self.plan.changes],
            "options": self._options,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, before `start`; an automation that was not there begins anew.

        A run that an automation had ended stays ended if the options of that automation are the same.
        """
        if state["stopped"] and self._is_unchanged(state["stopped"][0], state["options"]):
            self.stopped_by, reason, best, failed = state["stopped"]
            self.stop = Stop(reason, best=best, failed=failed)
        if self.knobs[BATCH_SIZE].claimed:
            self.plan.restore(state["plan"])
        self.knobs.load_state_dict(state["knobs"], {name for slot in self.slots for name in slot.claims})
        self._observations.load_state_dict(state["observations"])
        self._measure_until = state["measure_until"]
        for slot in self.slots:
            if slot.name in state["slots"]:
                slot.load_state_dict(state["slots"][slot.name])

    def _is_unchanged(self, name: str, recorded: Mapping[str, Any]) -> bool:
        return name in self._options and recorded.get(name) == self._options[name]


def differs(knob: str, old: float, new: float) -> bool:
    """Whether a move is one: more than 1 %, for sizes any."""
    if knob in SIZES or math.isinf(old) or math.isinf(new):
        return old != new
    return abs(new - old) > SMALLEST_CHANGE * abs(old)


def _rolls_back(decisions: Sequence[Decision]) -> bool:
    return any(isinstance(decision, Rollback) for decision in decisions)
