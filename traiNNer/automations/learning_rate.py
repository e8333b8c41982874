"""The automation that guards the learning rate: back after a divergence, down on a proven plateau."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat

from traiNNer.automations import learning_rate_rules as rules
from traiNNer.automations.evidence import ALPHA, SURE, flatness, log_e_flat, ols_slope
from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionWarning
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import (
    Decision,
    Evidence,
    KeepSnapshot,
    KnobChanged,
    Probe,
    ProbeFinished,
    Rollback,
    RunStarted,
    Say,
    SetKnob,
    StepFailed,
    Undo,
    ValidationFinished,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, GRAD_CLIP, LOSS_WEIGHT, LR_BATCH, LR_FACTOR, Knob, Range
from traiNNer.registry import AUTOMATIONS

Count = Annotated[int, Field(ge=1)]
LEAST_MOVE = 0.01
LONG_AGO = -(10**9)
BLOCK, PARTS, MOST_BLOCKS = 50, 5, 1000
SPACED = 10
"""Least distance of probes that confirm each other, however short the patience: what the first steps of an optimizer do
is noise on any shorter scale."""
RECOVERING = 0.5
"""Share of the rise that is left in the second probe of a run that comes back: it is looked at once more."""
MAX_ROLLBACKS = 3
UNPROVEN, STUCK, QUARTER = 200, 8, 0.25
"""Iterations in which the rate is unproven, at least; three times the warm-up if that is more. So many probes in a row
whose average is worse than its best show then that the rate is too high: a quarter of it follows."""
DIP, AFTER_DIP, LEAST_HOLD, MOST_HOLD = 0.5, 0.9, 100, 0.05
FINISH = 0.3
FINISHES = (
    "the file has no scheduler: the learning rate is constant, and from iteration {:,} on falls along a line to zero "
    "(`finish: false` switches that off)"
)
STILL_TOO_HIGH = (
    "{}, and the learning rate is at its lowest already: min_lr_factor {:g} allows no more. Give a lower "
    "train.optim_g.lr, or a lower min_lr_factor"
)
USUAL = 0.2
"""Share of the newest probe in the usual distance of live weights from their average: some networks live 6 dB off."""
VETO_VALIDATIONS, MOST_VALIDATIONS, VETO = 5, 512, math.log(10)


@AUTOMATIONS.register(name="IntelligentLearningRateScheduler")
@dataclass(eq=False)
class IntelligentLearningRateScheduler(Automation):
    """A bounded factor on the learning rate.

    Args:
        monitor_loss: Watch the training loss.
        monitor_validation: Watch the validation metric; with `monitor_loss` it can veto a reduction. One of the two
            must be on.
        adaptation_threshold: Effect worth acting on, as a share: what the rest of the run can gain, or the rise of a
            diverging loss.
        plateau_patience: Iterations of the smallest window of evidence.
        improvement_threshold: Relative fall of the loss per patience window below which the run counts as flat.
        min_lr_factor: Smallest cumulative factor on the learning rate.
        max_lr_factor: Largest product of this factor and that of a larger batch (`effective_batch: grow`).
        reduction_factor: Factor of one reduction.
        rollback: Return to good weights when the run diverges.
        log_every: Iterations between log lines of the estimate.
        finish: Without a schedule in the file, let the rate fall along a line to zero over the last 30 % of the run.
        fallback: What is active after the automation was disabled.
        max_adjustments: Changes before the factor is frozen.
    """

    title: ClassVar[str] = "learning rate"
    foreign_options: ClassVar[Mapping[str, str]] = {
        "raise_factor": "has no counterpart: the learning rate is never raised; give a higher train.optim_g.lr"
    }

    monitor_loss: bool = True
    monitor_validation: bool = True
    adaptation_threshold: PositiveFloat = 0.02
    plateau_patience: Count = 1000
    improvement_threshold: PositiveFloat = 0.001
    min_lr_factor: Annotated[float, Field(ge=1e-4, le=1)] = 0.1
    max_lr_factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    reduction_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    rollback: bool = True
    log_every: Count = 1000
    finish: bool = True
    fallback: rules.ScheduleFallback = rules.FALLBACK
    max_adjustments: Count = 50

    def __post_init__(self) -> None:
        self.every = max(1, min(BLOCK, self.plateau_patience // 4) // PARTS)
        self.apart = self.every * math.ceil(SPACED / self.every)
        self.metric: str | None = None
        self.has_warned = False
        with self.remembering():
            self.blocks, self.level = rules.Blocks(0), rules.Level()
            self.part: list[float] = []
            self.skipped, self.high = [0, 0], 0
            self.scores: list[list[float]] = []
            self.log_e, self.told, self.tested, self.has_begun = 0.0, 0, 0, False
            self.best: list[float] = []
            self.saved: list[float] = []
            self.saved_at = 0
            self.suspected_at: int | None = None
            self.suspected = 0.0
            self.asked_at = self.moved_at = self.undone_at = LONG_AGO
            self.cut_at: int | None = None
            self.proven_at, self.stuck, self.usual = 0, list[int](), 0.0
            self.returns = self.rollbacks = self.adjustments = 0

    @classmethod
    def check_options(cls, options: Any, facts: OptionFacts) -> Iterator[OptionProblem | OptionWarning]:
        """Report that nothing can be watched; warn of a fallback of another length than the run."""
        if options.monitor_loss is False and options.monitor_validation is False:
            yield OptionProblem("monitor_validation", "monitor_loss is off too; one of them must be on")
        elif facts.is_on and options.monitor_loss is False and options.monitor_validation is True:
            yield from rules.check_alone(facts)
        length = options.fallback and options.fallback.scheduler_params and options.fallback.scheduler_params.T_max
        if facts.is_on and not facts.has_schedule and length and facts.total_iter and length != facts.total_iter:
            text = f" = {length} is not train.total_iter; {facts.total_iter} is used"
            yield OptionWarning(text, "fallback.scheduler_params.T_max")

    @classmethod
    def finishes(cls, options: Any, optimizer: str) -> bool:
        """Return whether the run is to end with a decay to zero; schedule-free optimizers need none."""
        return options.finish and not rules.sets_its_own_rate(optimizer)

    # Events

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Bound the factor; disabled, it is 1, or makes half a cosine where the file has no schedule."""
        last = min(1.0, self.fallback.scheduler_params.eta_min / run.base_lr)
        cosine = rules.cosine(run.total_iter, last, run.schedule, run.warmup_iter)
        return {LR_FACTOR: Range(self.min_lr_factor, self.max_lr_factor, fallback=1.0 if run.has_schedule else cosine)}

    @property
    def needs(self) -> str | None:
        """What it cannot do without."""
        return "signal" if self.monitor_loss else self.metric

    def on_start(self, run: RunStarted) -> Iterable[Decision]:
        """Choose what to watch; keep the weights of the beginning, measure them, and announce the finish."""
        self.run = run
        self.metric = "val/psnr" if "val/psnr" in run.metrics else next(iter(run.metrics), None)
        self.is_only_guarding = rules.sets_its_own_rate(run.optimizer)
        size = self.every * min(PARTS, max(1, self.plateau_patience // 4))
        size *= max(1, run.total_iter // (MOST_BLOCKS * size))
        if size != self.blocks.size:  # means over blocks of another length are not comparable
            self.blocks = rules.Blocks(size, self.blocks.opened)
        if self.has_begun:
            return
        self.has_begun = True
        self.proven_at = run.iteration + max(3 * run.warmup_iter, UNPROVEN)
        self.blocks.restart(run.iteration + run.warmup_iter + self.plateau_patience)
        if not run.has_schedule and run.schedule(run.total_iter - 1) < 0.5:
            yield Say(FINISHES.format(round((1 - FINISH) * run.total_iter)))
        yield KeepSnapshot("start of the run")
        if run.has_probe:
            yield Probe("start of the run")

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Raise an alarm where the loss rises; collect the evidence of a plateau block by block."""
        self.skipped = rules.skipped_in_a_row(event.steps, self.skipped)
        signals = [signal for step in event.steps if math.isfinite(signal := step.signal())]
        self.part += signals
        self.blocks.add(signals)
        if rules.is_broken(self.skipped):
            yield from self._recover_from_nonfinite(event.iteration)
        elif event.iteration % self.every == 0:
            yield from self._watch(event.iteration)
            if event.iteration % self.blocks.size == 0:
                self.blocks.close(event.iteration)
                yield from self._tell(event.iteration)
                if self.monitor_loss and event.iteration - self.tested >= self.plateau_patience / 4:
                    self.tested = event.iteration
                    spacing = self.blocks.size / self.plateau_patience
                    yield from self._test(event.iteration, self.blocks.levels, spacing)

    def on_validation(self, event: ValidationFinished) -> Iterable[Decision]:
        """Note the score; without the loss it alone decides."""
        if self.metric is None or self.metric not in event.scores:
            return
        error = rules.log_error(self.metric, self.run.metrics[self.metric], event.scores[self.metric])
        if math.isfinite(error) and event.iteration >= self.blocks.opened:
            self.scores = [*self.scores[1 - MOST_VALIDATIONS :], [event.iteration, error]]
        if not self.monitor_loss and len(self.scores) > 1:
            yield from self._test(event.iteration, [error for _, error in self.scores], self._spacing)

    def on_probe(self, event: ProbeFinished) -> Iterable[Decision]:
        """Give the verdict: the run diverges when errors are far above their best in two probes, or it is stuck."""
        if len(self.best) != len(event.average):
            self.best = list(event.average)
        average, live = (rules.compare(errors, self.best) for errors in (event.average, event.live))
        is_average_bad = rules.is_worse(average, self._least_rise)
        change, least = (average, self._least_rise) if is_average_bad else (live, rules.MUCH_WORSE + self.usual)
        is_bad = rules.is_worse(change, least) and (is_average_bad or event.iteration > self.proven_at)
        place = "snapshot" if is_average_bad or not self.run.has_average else "average"
        if math.isnan(average.value + live.value):
            yield from self._answer(event.iteration, "divergence", rules.evidence_of(change, least), place)
        elif self._is_stuck(event.iteration, average):
            self.suspected_at = self.stuck[0]
            evidence = rules.evidence_of(average, self.adaptation_threshold)
            yield from self._answer(event.iteration, "no better than before", evidence)
        elif not (is_bad and self._is_rising):
            yield from self._clear(event)
        elif self.suspected_at is None or self._is_recovering(event.iteration, change.value):
            self.suspected_at, self.suspected = event.iteration, change.value
        elif event.iteration >= self.suspected_at + self.apart:
            yield from self._answer(event.iteration, "divergence", rules.evidence_of(change, least), place)

    def on_failure(self, event: StepFailed) -> Iterable[Decision]:
        """Return to the snapshot when the loss is not finite."""
        if event.kind == "not finite":
            yield from self._recover_from_nonfinite(event.iteration)

    def on_change(self, event: KnobChanged) -> None:
        """Restart the windows where levels are not comparable; note others' moves, which an alarm may be about."""
        if event.knob == LR_FACTOR:
            self._restart(event.iteration + self.plateau_patience // 2)
        elif event.knob in (GRAD_CLIP, BATCH_SIZE, LR_BATCH) or event.knob.startswith(LOSS_WEIGHT):
            # A limit up to the user's own makes no step larger than the user allows.
            if event.knob != GRAD_CLIP or event.new > max(event.old, self.knobs[GRAD_CLIP].start):
                self.moved_at = event.iteration
            if event.knob != GRAD_CLIP:
                self.level.forget()
                self._restart(event.iteration + self.knobs[event.knob].ramp)
            if event.knob.startswith(LOSS_WEIGHT):
                self.best = []

    # Alarm and verdict

    def _watch(self, iteration: int) -> Iterator[Decision]:
        """Ask for a probe when the loss is clearly above its lowest level; during the warm-up keep the lowest."""
        values, self.part = self.part, []
        is_second = self.suspected_at is not None and iteration == self.suspected_at + self.apart
        if is_second or self._is_tested(iteration):
            yield Probe("second opinion" if is_second else "the rate is unproven")
        if not self.monitor_loss or 2 * len(values) < self.every:
            return
        is_lowest = self.level.is_lowest(rules.mean_of_steps(values))
        if not self.run.has_probe:
            self.high = self.high + 1 if self.level.is_high(rules.MUCH_WORSE) else 0
            if self.high >= PARTS:
                change = rules.Mean(self.level.rise, self.level.se)
                yield from self._answer(iteration, "divergence", rules.evidence_of(change, rules.MUCH_WORSE))
        elif self.level.is_high(self.adaptation_threshold) and iteration >= self.asked_at + BLOCK:
            self.asked_at = iteration
            yield Probe("the loss is above its lowest level")
        if is_lowest and iteration <= self.run.warmup_iter and not self.run.has_probe:
            yield self._keep(iteration)

    def _is_tested(self, iteration: int) -> bool:
        """Whether a probe of this iteration counts for the test of an unproven rate."""
        apart = min(max(self.apart, self.run.warmup_iter // 3 // self.every * self.every), 2 * BLOCK)
        return self.run.has_probe and self.run.has_average and iteration <= self.proven_at and iteration % apart == 0

    def _is_stuck(self, iteration: int, average: rules.Mean) -> bool:
        """Whether the average has been worse than its best since several probes at an unproven rate."""
        if self._is_tested(iteration):
            least = self.adaptation_threshold if len(self.run.losses) < 2 else rules.MUCH_WORSE
            self.stuck = [*self.stuck, iteration] if average.value > least else []
        return len(self.stuck) >= STUCK

    def _is_recovering(self, iteration: int, rise: float) -> bool:
        """Whether the second probe of a suspicion finds a run on its way back: no divergence halves by itself."""
        is_second = self.suspected_at is not None and iteration >= self.suspected_at + self.apart
        return is_second and rise < RECOVERING * self.suspected

    def _clear(self, event: ProbeFinished) -> Iterator[Decision]:
        """Take back suspicion and alarm; keep what is best so far."""
        if self.suspected_at is not None or event.iteration == self.asked_at:
            self.suspected_at = None
            self.level.forget()
        gap = rules.compare(event.live, event.average).value
        self.usual += USUAL * (max(0.0, gap) - self.usual)
        if math.fsum(event.average) <= math.fsum(self.best):
            self.best, self.returns = list(event.average), 0
            if event.iteration - self.saved_at >= self.plateau_patience / 4 or self._is_tested(event.iteration):
                yield self._keep(event.iteration)

    def _keep(self, iteration: int) -> KeepSnapshot:
        self.saved, self.saved_at = list(self.best), iteration
        return KeepSnapshot("best so far")

    def _recover_from_nonfinite(self, iteration: int) -> Iterator[Decision]:
        skipped, self.skipped = self.skipped, [0, 0]
        yield from self._answer(iteration, "loss not finite", {"estimate": skipped[0]})

    def _answer(
        self, iteration: int, reason: str, evidence: Evidence, to: Literal["snapshot", "average"] = "snapshot"
    ) -> Iterator[Decision]:
        """Take back another's last move if there is one to suspect, else cut the rate; return to good weights."""
        began = iteration if self.suspected_at is None else self.suspected_at
        self.suspected_at = None
        self.part, self.high, self.stuck = [], 0, []
        is_suspect = self.moved_at >= iteration - self.run.memory_of_optimizer > self.undone_at
        if is_suspect:
            self.undone_at = iteration
            self._test_anew(iteration)
            yield Undo(reason, evidence)
        if self.rollback and self.returns < MAX_ROLLBACKS:
            self.returns += 1
            self.rollbacks += 1
            self.best = list(self.saved) if to == "snapshot" else self.best
            yield Rollback(reason, evidence, to)
        if not is_suspect:
            yield from self._cut(iteration, began, reason, evidence)

    def _test_anew(self, iteration: int) -> bool:
        """Test a rate that is not proven yet for as long again; whether it is one."""
        is_unproven = iteration <= self.proven_at
        if is_unproven:
            self.proven_at = iteration + max(2 * self.run.warmup_iter, UNPROVEN)
        return is_unproven

    def _cut(self, iteration: int, began: int, reason: str, evidence: Evidence) -> Iterator[Decision]:
        """Cut for a while; for good when it is the second time within a patience or the rate was never proven."""
        before, self.cut_at = self.cut_at, iteration
        if self._test_anew(iteration):
            share = min(1.0, self.run.schedule(began) / (self.run.schedule(self.run.warmup_iter) or 1.0))
            value = QUARTER * share * self._knob.at(began)
            yield from self._set(value, f"{reason} at an unproven rate", evidence, True)
        elif before is not None and iteration - before <= self.plateau_patience:
            yield from self._set(self._knob.value * self.reduction_factor, f"{reason} again", evidence, True)
        else:
            hold = round(min(max(LEAST_HOLD, self.run.memory_of_optimizer), MOST_HOLD * self.run.total_iter)) or 1
            dip = DIP * self._knob.at(iteration)
            evidence = {**evidence, "dip": dip, "hold": hold}
            yield from self._set(AFTER_DIP * self._knob.value, reason, evidence, True, dip, hold)

    # Plateaus

    def _test(self, iteration: int, values: list[float], spacing: float) -> Iterator[Decision]:
        """Reduce for good where the loss is proven to be flat, at a constant rate with more than 30 % left."""
        total = self.run.total_iter
        self._knob.expect(0.0)
        if self.is_only_guarding or iteration >= (1 - FINISH) * total or iteration <= self.blocks.opened:
            return
        end = total if self.run.has_schedule else round((1 - FINISH) * total)  # the finish is not what the file says
        if not rules.is_constant(self.run.schedule, iteration, end):
            self._restart(iteration)
            return
        whole = self.adaptation_threshold * self.plateau_patience / max(1, total - iteration)
        least = max(self.improvement_threshold, whole)  # the smallest fall per patience that is worth continuing for
        self.log_e = flatness(values, spacing, least, total / self.plateau_patience)
        if self._is_vetoed(least):
            return
        # Once there is enough, a cut has come, and begins anew, or cannot come: nothing that is worth to wait for.
        if self.log_e < SURE:
            self._knob.expect(self.log_e / SURE)
        elif iteration - self.blocks.opened >= self.plateau_patience:
            value = max(self._knob.value * self.reduction_factor, 1 - iteration / total)
            if value < self._knob.value:
                evidence = {"log_e": self.log_e, "sure": SURE, "threshold": least, "window": len(values)}
                yield from self._set(value, "plateau detection", evidence)

    def _is_vetoed(self, least: float) -> bool:
        """Whether there is evidence that validation improves by at least what counts."""
        if not (self.monitor_validation and self.monitor_loss) or len(self.scores) < VETO_VALIDATIONS:
            return False
        return log_e_flat(ols_slope([error for _, error in self.scores], self._spacing), least) < -VETO

    @property
    def _knob(self) -> Knob:
        return self.knobs[LR_FACTOR]

    @property
    def _spacing(self) -> float:
        """The distance of validations in patiences."""
        return (self.scores[-1][0] - self.scores[0][0]) / (len(self.scores) - 1) / self.plateau_patience

    @property
    def _least_rise(self) -> float:
        """The rise of the averaged errors that is a divergence; live weights are noisy, other losses have reasons."""
        return rules.WORSE if self.run.has_average and len(self.run.losses) < 2 else rules.MUCH_WORSE

    @property
    def _is_rising(self) -> bool:
        """Whether the training loss is above its lowest level: one that still falls overfits, but does not diverge."""
        return not self.monitor_loss or (self.level.best is not None and self.level.rise > self.adaptation_threshold)

    def _set(
        self, value: float, reason: str, evidence: Evidence, forced: bool = False, dip: float = 0.0, hold: int = 0
    ) -> Iterator[Decision]:
        """Move the factor within its bounds, unless that is hardly a move or not allowed; say once if it was needed."""
        value = self._knob.clamp(value)
        if abs(value - self._knob.value) < LEAST_MOVE * self._knob.value or (self._knob.is_frozen and not forced):
            if forced and value <= self.min_lr_factor and not self.has_warned:
                self.has_warned = True
                yield Say(STILL_TOO_HIGH.format(reason, self.min_lr_factor), warn=True)
            return
        self.adjustments += not forced
        yield SetKnob(LR_FACTOR, value, reason, evidence, forced, dip, hold)

    def _restart(self, opened: int) -> None:
        self.scores, self.log_e = [], 0.0
        self._knob.expect(0.0)
        self.blocks.restart(max(opened, self.run.warmup_iter + self.plateau_patience))

    def _tell(self, iteration: int) -> Iterator[Decision]:
        """Write the estimate from time to time."""
        if not self.monitor_loss or self.is_only_guarding or iteration // self.log_every == self.told // self.log_every:
            return
        self.told = iteration
        slope = ols_slope(self.blocks.levels, self.blocks.size / self.plateau_patience)
        if math.isfinite(slope.se):
            change = f"loss {slope.value:+.2%} per {self.plateau_patience:,} iterations, ±{2 * slope.se:.2%}"
            yield Say(f"{change}; evidence of a plateau: {math.exp(min(self.log_e, 99)):.2g} of {1 / ALPHA:g}")

    def summary(self) -> str:
        """Return the number of adjustments and rollbacks, and where the factor ended."""
        counts = {"adjustment": self.adjustments, "rollback": self.rollbacks}
        told = [f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts.items()]
        return ", ".join([*told, f"factor {self._knob.value:.3g}"])
