"""The automation that moves the learning rate: down on a plateau, up on trial early on, and back after a divergence."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from traiNNer.automations import learning_rate_rules as rules
from traiNNer.automations.statistics import Mean, Slope
from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionWarning
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import (
    Decision,
    Evidence,
    KeepSnapshot,
    KnobChanged,
    Rollback,
    RunStarted,
    Say,
    SetKnob,
    State,
    StepFailed,
    ValidationFinished,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, LOSS_WEIGHT, LR_BATCH, LR_FACTOR, Knob, Range
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
LEAST_MOVE = 0.01
RAISE_UNTIL = 0.2
VETO_VALIDATIONS, ALONE_VALIDATIONS, MOST_VALIDATIONS = 5, 8, 64


class CosineParams(StrictOptions):
    """Parameters of the schedule that takes over."""

    eta_min: Annotated[float, Field(ge=0)] = 0.0
    """The lowest learning rate itself, not a factor."""
    T_max: Count | None = None
    """Accepted, but always `train.total_iter`."""


class ScheduleFallback(StrictOptions):
    """The schedule that is active after the automation was disabled, where the file names none."""

    scheduler_type: Literal["cosine"] = "cosine"
    """Kind of the schedule."""
    scheduler_params: CosineParams = Field(default_factory=CosineParams)
    """Its parameters."""


FALLBACK = ScheduleFallback()


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
        max_lr_factor: Largest cumulative factor on the learning rate.
        reduction_factor: Factor of one reduction.
        raise_factor: Factor of one raise.
        rollback: Return to the last good weights when the loss diverges.
        log_every: Iterations between log lines of the estimate.
        fallback: What is active after the automation was disabled.
        max_adjustments: Changes before the factor is frozen.
    """

    title: ClassVar[str] = "learning rate"
    remembered: ClassVar[tuple[str, ...]] = (
        "tested",
        "told",
        "scores",
        "trial",
        "may_raise",
        "skipped",
        "rollbacks",
        "recovered_at",
        "adjustments",
        "is_forced",
        "has_explained",
        "has_begun",
    )

    monitor_loss: bool = True
    monitor_validation: bool = True
    adaptation_threshold: Positive = 0.02
    plateau_patience: Count = 1000
    improvement_threshold: Positive = 0.001
    min_lr_factor: Annotated[float, Field(ge=1e-4, le=1)] = 0.1
    max_lr_factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    reduction_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    raise_factor: Annotated[float, Field(gt=1)] = 1.25
    rollback: bool = True
    log_every: Count = 1000
    fallback: ScheduleFallback = FALLBACK
    max_adjustments: Count = 50

    def __post_init__(self) -> None:
        self.every = max(1, min(rules.BLOCK, self.plateau_patience // 4))
        self.blocks = rules.Blocks(self.every, most=max(rules.WINDOWS) * self.plateau_patience // self.every)
        self.level = rules.Level()
        self.metric: str | None = None
        self.tested = self.told = 0
        self.scores: list[list[float]] = []
        self.trial: dict[str, float] | None = None
        self.may_raise, self.is_forced, self.has_explained, self.has_begun = True, False, False, False
        self.skipped = [0, 0]
        self.rollbacks = self.adjustments = 0
        self.recovered_at = -math.inf

    @classmethod
    def check_options(cls, options: Any, facts: OptionFacts) -> Iterator[OptionProblem | OptionWarning]:
        """Report that nothing can be watched; warn of a fallback of another length than the run."""
        if options.monitor_loss is False and options.monitor_validation is False:
            yield OptionProblem("monitor_validation", "monitor_loss is off too; one of them must be on")
        elif facts.is_on and options.monitor_loss is False and options.monitor_validation is True:
            yield from _check_alone(facts)
        length = options.fallback and options.fallback.scheduler_params and options.fallback.scheduler_params.T_max
        if facts.is_on and not facts.has_schedule and length and facts.total_iter and length != facts.total_iter:
            text = f" = {length} is not train.total_iter; {facts.total_iter} is used"
            yield OptionWarning(text, "fallback.scheduler_params.T_max")

    # Events

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Bound the factor; disabled, it is 1, or half a cosine where the file has no schedule."""
        last = min(1.0, self.fallback.scheduler_params.eta_min / run.base_lr)
        fallback = 1.0 if run.has_schedule else rules.cosine(run.total_iter, last)
        return {LR_FACTOR: Range(self.min_lr_factor, self.max_lr_factor, fallback=fallback)}

    @property
    def needs(self) -> str | None:
        """What it cannot do without."""
        return "signal" if self.monitor_loss else self.metric

    def on_start(self, run: RunStarted) -> Iterable[Decision]:
        """Choose what to watch; keep the weights of the beginning."""
        self.run = run
        self.metric = "val/psnr" if "val/psnr" in run.metrics else next(iter(run.metrics), None)
        name = run.optimizer.lower().replace("_", "")
        self.is_only_guarding = "schedulefree" in name or "prodigy" in name
        if self.has_begun:
            return
        self.has_begun = True
        self.blocks.restart(run.iteration + run.warmup_iter + self.plateau_patience)
        yield KeepSnapshot("start of the run")

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Guard the level block by block; check for plateaus every quarter of the patience."""
        self.skipped = rules.skipped_in_a_row(event.steps, self.skipped)
        self.blocks.add(event.steps)
        if rules.is_broken(self.skipped):
            yield from self._recover_from_nonfinite(event.iteration)
            return
        self._note_start()
        if event.iteration % self.every:
            return
        worst = self.blocks.worst_part()
        mean = self.blocks.close(event.iteration)
        if math.isfinite(mean.value):
            rewound = self.rollbacks
            yield from self._guard(event.iteration, mean, worst)
            if self.rollbacks > rewound:
                return
        self._follow_schedule(event.iteration)
        yield from self._tell(event.iteration)
        if event.iteration - self.tested >= self.plateau_patience / 4:
            self.tested = event.iteration
            yield from self._test(event.iteration)

    def on_validation(self, event: ValidationFinished) -> Iterable[Decision]:
        """Note the score; without the loss it alone decides."""
        if self.metric is None or self.metric not in event.scores:
            return
        error = rules.log_error(self.metric, self.run.metrics[self.metric], event.scores[self.metric])
        if math.isfinite(error):
            self.scores = [*self.scores[1 - MOST_VALIDATIONS :], [event.iteration, error]]
        if not self.monitor_loss and not self.is_only_guarding and event.iteration >= self.blocks.opened:
            yield from self._test_scores(event.iteration)

    def on_failure(self, event: StepFailed) -> Iterable[Decision]:
        """Return to the snapshot when the loss is not finite."""
        if event.kind == "not finite":
            yield from self._recover_from_nonfinite(event.iteration)

    def on_change(self, event: KnobChanged) -> None:
        """Restart the windows: what comes is not comparable with what was."""
        if event.knob == LR_FACTOR:
            self.adjustments += not self.is_forced
            self._restart(event.iteration, self.plateau_patience // 2)
        elif event.knob in (BATCH_SIZE, LR_BATCH) or event.knob.startswith(LOSS_WEIGHT):
            self._restart(event.iteration, self.knobs[event.knob].ramp)
            if event.knob != LR_BATCH:
                self.level.forget()

    # Divergence

    def _note_start(self) -> None:
        """Take the first value as a level: the first block may explode already."""
        if self.level.saved_at is None and not self.level.seen and self.blocks.values:
            self.level.begin(self.blocks.values[0])

    def _guard(self, iteration: int, mean: Mean, worst: float) -> Iterator[Decision]:
        """Keep a snapshot of the best level; return to it when the level has risen clearly, or exploded."""
        is_alone = len(self.run.losses) < 2  # other losses may pull the pixel loss up for good reasons
        least = math.log1p(rules.RISE if is_alone else rules.RISE_OF_MANY)
        sudden = math.log1p(rules.EXPLOSION if is_alone else rules.EXPLOSION_OF_MANY)
        explosion = self.level.explosion(worst, mean.se, self.every, sudden)
        rise = self.level.rise(mean, math.log1p(self.adaptation_threshold))
        if explosion:
            evidence = _evidence(explosion, self.level.se, self.every / rules.PARTS, sudden)
            yield from self._recover(iteration, "divergence", evidence, mean.value)
        elif rise > least and iteration > self.run.warmup_iter:
            evidence = _evidence(rise, self.level.se, rules.CHECKS * self.every, least)
            yield from self._recover(iteration, "divergence", evidence, mean.value)
        elif self.level.is_best(mean) and self.level.is_below_saved(mean) and self._is_snapshot_due(iteration):
            self.level.save(iteration, mean.value)
            yield KeepSnapshot("lowest loss so far")

    def _is_snapshot_due(self, iteration: int) -> bool:
        # Weights of a rate that is about to diverge look fine, so a rate has to prove itself first; but not for long,
        # or a late divergence would cost the whole run until then.
        trusted = max(self.recovered_at, self.run.warmup_iter) + min(self.plateau_patience / 2, rules.PROBATION)
        saved_at = self.level.saved_at or 0
        return iteration >= trusted and iteration - saved_at >= self.plateau_patience / 4

    def _recover_from_nonfinite(self, iteration: int) -> Iterator[Decision]:
        skipped, self.skipped = self.skipped, [0, 0]
        yield from self._recover(iteration, "loss not finite", {"estimate": skipped[0]}, None)

    def _recover(self, iteration: int, reason: str, evidence: Evidence, level: float | None) -> Iterator[Decision]:
        """Return to the snapshot while that is allowed, and halve the factor; quarter it if that was not enough."""
        is_again = iteration - self.recovered_at <= self.plateau_patience
        self.recovered_at = iteration
        self.may_raise, self.trial = False, None
        self.blocks.drop_open()
        self.scores = []
        self._restart(iteration, self.plateau_patience // 2)
        if self.rollback and self.rollbacks < rules.MAX_ROLLBACKS:
            self.rollbacks += 1
            self.level.accept(self.level.saved)
            yield Rollback(reason, evidence)
        else:
            self.level.accept(level)
        retreat = rules.RETREAT_AGAIN if is_again else rules.RETREAT
        yield from self._set(self._knob.value * retreat, reason, evidence, forced=True)

    # Plateaus and raises

    def _test(self, iteration: int) -> Iterator[Decision]:
        """Judge a raise under way, or check for a plateau, or for a reason to raise."""
        if not self.monitor_loss or self.is_only_guarding:
            return
        if self.trial is not None:
            yield from self._judge(iteration)
            return
        least = self._least_change(iteration)
        flat = rules.find_flat(self.blocks, self.plateau_patience, least)
        if flat is not None:
            if not self._is_vetoed(iteration - flat.window):
                yield from self._reduce(iteration, -flat.slope.value, flat.slope.se, flat.window, least)
        elif self.may_raise and iteration < RAISE_UNTIL * self.run.total_iter:
            yield from self._raise(iteration)

    def _reduce(self, iteration: int, fall: float, se: float, window: float, least: float) -> Iterator[Decision]:
        limit = rules.envelope(iteration, self.run.total_iter, self.run.warmup_iter, self.run.schedule)
        value = max(self._knob.value * self.reduction_factor, limit)
        if value < self._knob.value:
            self.may_raise = False
            yield from self._set(value, "plateau detection", _evidence(fall, se, window, least))

    def _raise(self, iteration: int) -> Iterator[Decision]:
        """Try a higher learning rate where the loss falls fast."""
        slope = self._recent()
        if slope is not None and -slope.value - rules.quantile(slope, True) * slope.se > self.adaptation_threshold:
            center = iteration - self.plateau_patience / 2 - self.run.warmup_iter
            self.trial = {"factor": self._knob.value, "fall": -slope.value, "se": slope.se, "center": center}
            evidence = _evidence(-slope.value, slope.se, self.plateau_patience, self.adaptation_threshold)
            moves = list(self._set(self._knob.value * self.raise_factor, "fast improvement, on trial", evidence))
            self.trial = self.trial if moves else None
            yield from moves

    def _judge(self, iteration: int) -> Iterator[Decision]:
        """Take a raise back unless the loss falls as fast as before, within the noise, and faster than a power law.

        By itself the fall slows down, in proportion to the time since the warm-up where it follows a power law.
        """
        slope = self._recent()
        if self.trial is None or slope is None:
            return
        center = iteration - self.plateau_patience / 2 - self.run.warmup_iter
        slowed = self.trial["fall"] * self.trial["center"] / center
        expected = max(slowed, self.trial["fall"] - 2 * math.hypot(slope.se, self.trial["se"]))
        before, self.trial = self.trial["factor"], None
        if -slope.value < expected:
            self.may_raise = False
            evidence = _evidence(-slope.value, slope.se, self.plateau_patience, expected)
            yield from self._set(before, "the raise did not help", evidence, forced=True)

    def _test_scores(self, iteration: int) -> Iterator[Decision]:
        """Reduce when the metric is flat: its error falls by less than what counts even at the upper bound."""
        least, scores = self._least_change(iteration), [score for score in self.scores if score[0] > self.blocks.opened]
        count = ALONE_VALIDATIONS
        while count <= len(scores):
            low, slope, _ = rules.slope_of(scores[-count:], rules.CONFIDENCE)
            fall, most = -slope * self.plateau_patience, -low * self.plateau_patience
            if most < least:
                yield from self._reduce(iteration, fall, (most - fall) / 3, scores[-1][0] - scores[-count][0], least)
                return
            count *= 2

    def _is_vetoed(self, since: int) -> bool:
        """Whether validation still improves clearly: the upper 90 % bound of its error's slope is below 0."""
        count = max(VETO_VALIDATIONS, sum(at > since for at, _ in self.scores))
        if not self.monitor_validation or len(self.scores) < count:
            return False
        return rules.slope_of(self.scores[-count:], rules.VETO_CONFIDENCE)[2] < 0

    # Parts of the above

    @property
    def _knob(self) -> Knob:
        return self.knobs[LR_FACTOR]

    def _set(self, value: float, reason: str, evidence: Evidence, forced: bool = False) -> Iterator[Decision]:
        """Move the factor within its bounds, unless that changes next to nothing or is not allowed any more."""
        value = self._knob.clamp(value)
        if abs(value - self._knob.value) < LEAST_MOVE * self._knob.value or (self._knob.is_frozen and not forced):
            return
        self.is_forced = forced
        yield SetKnob(LR_FACTOR, value, reason, evidence, forced)

    def _restart(self, iteration: int, rest: int) -> None:
        self.blocks.restart(max(iteration + rest, self.run.warmup_iter + self.plateau_patience))

    def _recent(self) -> Slope | None:
        """Return the slope over the last patience window; None while there is none."""
        window = round(self.plateau_patience / self.every)
        return self.blocks.slope(self.plateau_patience, window) if len(self.blocks.levels) >= window else None

    def _follow_schedule(self, iteration: int) -> None:
        """Restart the windows when the scheduled learning rate has moved by more than 10 % since they began."""
        now, first = self.run.schedule(iteration), self.run.schedule(self.blocks.opened)
        if iteration > self.blocks.opened and not 0.9 * first <= now <= 1.1 * first:
            self._restart(iteration, 0)

    def _least_change(self, iteration: int) -> float:
        """Return the smallest fall per patience that is worth continuing for."""
        whole = self.adaptation_threshold * self.plateau_patience / max(1, self.run.total_iter - iteration)
        return max(self.improvement_threshold, whole)

    def _tell(self, iteration: int) -> Iterator[Decision]:
        """Write the estimate from time to time, and once what the noise lets this automation see."""
        if not self.monitor_loss or self.is_only_guarding or not self.level.seen:
            return
        resolvable = rules.resolvable(self.level.se, self.every, self.plateau_patience, max(rules.WINDOWS))
        if not self.has_explained and iteration >= min(4 * self.plateau_patience, self.run.total_iter / 2):
            self.has_explained = True
            yield Say(rules.explain(self.level.se, self.every, self.plateau_patience, self._least_change(iteration)))
        if iteration // self.log_every > self.told // self.log_every:
            self.told = iteration
            slope = self.blocks.slope(self.plateau_patience)
            if math.isfinite(slope.se):
                yield Say(rules.estimate(slope, self.level.se, self.plateau_patience, resolvable))

    def summary(self) -> str:
        """Return the number of adjustments and rollbacks, and where the factor ended."""
        parts = [_plural(self.adjustments, "adjustment"), _plural(self.rollbacks, "rollback")]
        return ", ".join([*parts, f"factor {self._knob.value:.3g}"])

    def state_dict(self) -> State:
        """Return the memory as plain values."""
        return super().state_dict() | {"blocks": self.blocks.state_dict(), "level": self.level.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.blocks.load_state_dict(state["blocks"])
        self.level.load_state_dict(state["level"])


def _evidence(estimate: float, se: float, window: float, threshold: float) -> Evidence:
    return {"estimate": estimate, "se": se, "window": window, "threshold": threshold}


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _check_alone(facts: OptionFacts) -> Iterator[OptionProblem]:
    """Report validation that is watched alone and not there; beside the loss it is a veto that may be missing."""
    if facts.scores is None:
        return
    if facts.is_validating is False:
        yield OptionProblem("monitor_loss", "monitor_validation alone needs validation: val.val_enabled is false")
    elif not facts.scores:
        wanted = "add val.metrics, with val.metrics_enabled on"
        yield OptionProblem("monitor_loss", f"monitor_validation alone needs a metric: {wanted}")
