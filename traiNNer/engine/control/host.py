"""Where the training automations live: they receive events, and what they decide is checked, applied and recorded.

An automation can fail without harm: one that raises, misses its input or oscillates is disabled, its knobs move to
their fallback, and the run continues. Rank 0 asks the automations; every rank applies what they decide.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from traiNNer.batch import BatchPlan
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.decision_log import DecisionLog
from traiNNer.engine.control.effects import Actions, Effects
from traiNNer.engine.control.events import (
    Decision,
    ProbeFinished,
    Rollback,
    RunStarted,
    Say,
    StepFailed,
    Stop,
    ValidationFinished,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, MICRO_BATCH, Knobs
from traiNNer.engine.control.moves import Moves
from traiNNer.engine.control.observations import Observations
from traiNNer.engine.control.prediction import Forecast
from traiNNer.engine.control.purse import Purse
from traiNNer.engine.control.slot import MISSES_ALLOWED, Slot
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step_report import StepReport

REPEATS_ALLOWED = 2
PROBE_EVERY = 100
Rule = Callable[[Automation], Iterable[Decision]]


class Probing(Protocol):
    """Measures the network on fixed crops. All ranks ask, and hear the same."""

    def held_out(self) -> tuple[list[float], list[float]] | None:
        """Return the errors of live and averaged weights as in `ProbeFinished`; None if it cannot be done any more."""
        ...

    def training(self) -> list[float]:
        """Return the errors of the scored weights on training crops; empty if it cannot be done any more."""
        ...


@dataclass(eq=False)
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
        probe: measures the network on fixed crops; None where that cannot be done.
    """

    automations: InitVar[Mapping[str, Automation]]
    run: RunStarted
    knobs: Knobs
    runtime: Runtime
    logbook: Logbook
    actions: Actions
    plan: BatchPlan
    learning_rate: Callable[[int], float]
    options: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    shadow: bool = False
    probe: Probing | None = None

    def __post_init__(self, automations: Mapping[str, Automation]) -> None:
        run, knobs, logbook = self.run, self.knobs, self.logbook
        self.iteration = self._repeats = self._reported = 0
        self._observations = Observations(self.runtime, run.anchor, run.later_anchors)
        self._forecast = Forecast(run.schedule, run.total_iter, run.warmup_iter)
        if self.shadow:
            for knob in knobs.values():
                knob.shadow()
        self.slots = [Slot(name, one, run, knobs, logbook, self.strict) for name, one in automations.items()]
        log, purse = DecisionLog(logbook, self.learning_rate, self.shadow), Purse(run.total_iter)
        memory = run.memory_of_optimizer
        moves = Moves(self.slots, knobs, self.runtime, logbook, log, self.plan, purse, memory, self.shadow)
        self.effects = Effects(run, moves, self.actions)

    @property
    def stop(self) -> Stop | None:
        """The decision to end the run early."""
        return self.effects.stop

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
        self.effects.begin(iteration)
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
        self._forecast.expect_end(total_iter)
        if is_running:  # as in a resume with another length, whose first words were said before
            self._ask("start", lambda automation: [d for d in automation.on_start(self.run) if not isinstance(d, Say)])

    def after_step(self, iteration: int, report: StepReport) -> None:
        """Note an iteration; where an automation's window is full, read it and notify the automations."""
        self.iteration = self._reported = iteration
        self._repeats = 0
        if any(slot.every <= self.run.total_iter for slot in self.slots if slot.listens):
            self._observations.add(report)
        self.effects.after_step(iteration)
        ordered = [change for change in self.run.changes if change.iteration == iteration]
        if ordered or any(iteration % max(1, slot.every) == 0 for slot in self.slots if slot.listens):
            self._finish_window()
        for change in ordered:
            self.effects.moves.tell(iteration, change.knob, change.old, change.new)

    def after_iteration(self) -> None:
        """Measure the probe where it is due or was asked for, at most once an iteration, and notify the automations."""
        is_due = self.iteration % PROBE_EVERY == 0 and any(slot.wants_probe for slot in self.slots)
        if self.probe is None or not (self.effects.take_probe() or is_due):
            return
        errors = self.probe.held_out()
        self._observations.pause()
        if errors is not None:
            event = ProbeFinished(self.iteration, *errors)
            self.logbook.event("probe", self.iteration, self._forecast.add(event))
            self._ask("probe", lambda automation: automation.on_probe(event))

    def after_validation(self, iteration: int, scores: Mapping[str, float]) -> None:
        """Tell the scores of a validation; there are none where they could not be computed."""
        self.iteration = iteration
        event = ValidationFinished(iteration, scores, self.probe.training() if self.probe else ())
        self._observations.pause()
        self._predict(scores.get("val/psnr", math.nan))
        self._ask("validation", lambda automation: automation.on_validation(event), partial(self._note_score, event))
        self._ask(
            "fallback", lambda automation: automation.fallback_rule(event), whom=lambda slot: slot.uses_fallback_rule
        )

    def _predict(self, score: float) -> None:
        """Tell the score that is expected at the end."""
        found = self._forecast.predict(self.iteration, score)
        if found is not None:
            shown = f"{found.value:.1f} dB ({found.low:.1f}..{found.high:.1f})"
            self.logbook.info(f"expected {shown} at {self.run.total_iter:,}")
            values = {"predicted/psnr": found.value, "predicted/psnr_low": found.low, "predicted/psnr_high": found.high}
            self.logbook.event("prediction", self.iteration, values)

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
        before = self.effects.rollbacks
        # An automation may have seen it in the window already.
        if not any(isinstance(decision, Rollback) for decision in self._finish_window()):
            self._ask("failure", lambda automation: automation.on_failure(event))
        return self.effects.rollbacks > before

    def finish(self) -> None:
        """Say in one line what the automations did."""
        told = []
        for slot in self.slots if self.runtime.is_main else ():
            text = slot.call("summary", slot.automation.summary)
            title = f"{slot.automation.title}: " if slot.automation.title else ""
            told += [f"{title}{text}{' (disabled)' if slot.is_off else ''}"] if text else []
        mark = " (shadow: nothing was applied)" if self.shadow else ""
        self.logbook.info(f"Automations{mark}: {'; '.join([*told, str(self.effects.purse)])}")
        self.logbook.event("automations", self.iteration, self.effects.purse.numbers())

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
                    self.effects.apply(self.iteration, slot, decision)
                taken += answer.decisions
        return taken

    def _note_steps(self, event: WindowFinished, slot: Slot) -> None:
        match slot.needs:
            case "memory":
                self._note(slot, math.nan if event.memory is None else event.memory.used)
            case "signal":
                self._note(slot, *(step.signal() for step in event.steps))
            case "grad_norm":
                self._note(slot, *(step.grad_norm for step in event.steps))

    def _note_score(self, event: ValidationFinished, slot: Slot) -> None:
        needed = slot.needs or ""
        if needed in self.run.metrics:
            self._note(slot, event.scores.get(needed, math.nan))

    def _note(self, slot: Slot, *values: float) -> None:
        """Disable an automation that misses its input for too long."""
        if slot.listens and any(slot.misses_input(value) for value in values):
            self._disable(slot, f"{slot.needs} was missing {MISSES_ALLOWED} times in a row")

    def _compare_ranks(self) -> None:
        """Switch everything off when the ranks have come apart, which would train different networks."""
        values = {name: knob.value for name, knob in self.knobs.items()}
        if self.runtime.max_over_ranks(int(self.runtime.from_main(values) != values)):
            for slot in self.slots:
                self._disable(slot, "the ranks disagree about its knobs")

    def _disable(self, slot: Slot, reason: str) -> None:
        self.effects.moves.disable(self.iteration, slot, reason)

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return what automations and knobs remember, and the iterations not yet inspected."""
        return {
            "slots": {slot.name: slot.state_dict() for slot in self.slots},
            "knobs": self.knobs.state_dict(),
            "observations": self._observations.state_dict(),
            "effects": self.effects.state_dict(),
            "forecast": self._forecast.state_dict(),
            "plan": [list(change) for change in self.plan.changes],
            "ranks": self.runtime.world,
            "options": dict(self.options),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, before `start`; an automation that was not there begins anew.

        A run that an automation had ended stays ended if the options of that automation are the same.
        """
        given = state["options"]
        self.effects.load_state_dict(
            state["effects"], lambda name: name in self.options and given.get(name) == self.options[name]
        )
        if self.knobs[BATCH_SIZE].claimed:
            world = self.runtime.world
            self.plan.restore(state["plan"], (state.get("ranks", world), world))
        self.knobs.load_state_dict(state["knobs"], {name for slot in self.slots for name in slot.claims})
        self._observations.load_state_dict(state["observations"])
        self._forecast.load_state_dict(state.get("forecast", {"probes": []}))
        for slot in self.slots:
            if slot.name in state["slots"]:
                slot.load_state_dict(state["slots"][slot.name])
