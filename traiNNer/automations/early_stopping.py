"""Early stopping: ends a run that has nothing left to gain, and says why."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from traiNNer.automations.outlook import Schedule, milestones, with_fallback
from traiNNer.automations.trend import Trend, clearly_lower, correlation, dependence, noise_sd, theil_sen
from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionWarning, check_order, check_score
from traiNNer.engine.control.automation import NEVER, Automation
from traiNNer.engine.control.events import (
    Decision,
    KnobChanged,
    ProbeFinished,
    RunStarted,
    Say,
    Stop,
    ValidationFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, LOSS_WEIGHT, LR_BATCH, LR_FACTOR
from traiNNer.engine.control.prediction import ANNEALING, LOG_TO_DB, share_to_fall
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
LEAST_VALIDATIONS = 5
"""Smallest patience in validations: a trend of fewer values is not evidence."""
IN_DB = ("min_improvement", "improvement_threshold", "min_projected_gain")
"""Options whose defaults are in dB."""
VALIDATIONS = 10
"""Smallest number of validations that a trend is read from."""
YOUNG = 9
"""In the beginning the window of the averaged weights is this fraction of the iterations so far."""
REACH = 2
"""A trend is not projected further ahead than this many times the window that it was read from."""
WORTH_SAVING = 0.1
"""Share of the run below which a stop saves nothing worth a mistake: the rate is next to zero there."""
NOISE_VALIDATIONS = 30
"""Validations that the noise is estimated from: with ten, one estimate in twenty is less than half the true sd."""
RECENT = 3
"""Validations that the smoothed value is the median of; so many must follow a change before anything stops."""
LEAST_DB = 0.05
"""A gain from annealing that is waited for where the metric is not in dB, and cannot be compared with it."""
PROBES = 10
"""Probes whose median is the distance of the live weights from their average."""
PENDING = 0.5
"""A test of the rate automation that is so far on its way to a cut is waited for."""


class StoppingFallback(StrictOptions):
    """What happens to early stopping when its automation is disabled."""

    early_stopping: bool = False
    """Stop by plain patience; false never stops."""


PRESETS = {"convenience": (1, 0.90), "fidelity": (2, 0.95)}
"""How sure the stop is: patiences that the trend spans at least, and the confidence of its interval."""
NO_FALLBACK = StoppingFallback()


@AUTOMATIONS.register(name="IntelligentEarlyStopping")
@dataclass(eq=False)
class IntelligentEarlyStopping(Automation):
    """Ends a run that has nothing left to gain.

    It stops when even the upper bound of the metric's trend (Theil and Sen), and what a lower learning rate will still
    give, promise too little for the rest of the run, or when the metric has fallen while the training crops improve
    (overfitting), or after a hard limit. Prechelt, "Early Stopping - But When?", 1998, compares simpler criteria and
    their cost.

    Args:
        preset: `convenience` reads the trend over one patience at 90 %; `fidelity` over two at 95 %.
        patience: Iterations since the last significant best before stopping is considered; at least five validations.
        min_improvement: Gain of the metric that makes a new best significant.
        min_epochs: Passes through the data before which nothing stops; ignored if the run does not get there.
        min_iterations: Iterations before which nothing stops.
        monitor_metric: `val/<metric>` for the mean over all sets, `<set>/<metric>` for one.
        max_no_improvement: Iterations without any new best after which the run stops in any case; equal to `patience`
            or left out there is no such limit.
        improvement_threshold: Gain of the metric per patience below which the trend counts as flat.
        warmup_iterations: Iterations whose values are ignored; at least those of the warm-up.
        min_projected_gain: Gain still to be expected below which the run stops.
        restore_best: End with the best weights.
        respect_schedule: Wait for what a learning rate that will still be lowered gives.
        fallback: What is active after the automation was disabled.
        max_adjustments: Stops per run; with 0 it only watches.
    """

    title = "early stopping"
    every = NEVER

    preset: Literal["convenience", "fidelity"] = "convenience"
    patience: Count = 2000
    min_improvement: NonNegativeFloat = 0.001
    min_epochs: NonNegativeInt = 0
    min_iterations: NonNegativeInt = 5000
    monitor_metric: str = "val/psnr"
    max_no_improvement: Count | None = None
    improvement_threshold: NonNegativeFloat = 0.002
    warmup_iterations: NonNegativeInt = 1000
    min_projected_gain: NonNegativeFloat = 0.05
    restore_best: bool = True
    respect_schedule: bool = True
    fallback: StoppingFallback = NO_FALLBACK
    max_adjustments: NonNegativeInt = 1

    def __post_init__(self) -> None:
        limit = self.max_no_improvement
        if limit is not None and limit < self.patience:
            raise ValueError(f"max_no_improvement = {limit} is less than patience = {self.patience}")
        self.is_limit_patience = limit == self.patience
        self.hard_limit = None if self.is_limit_patience else limit
        self.patiences, self.confidence = PRESETS[self.preset]
        self.has_fallback_rule = self.fallback.early_stopping
        self.needs = self.monitor_metric
        self.unit = " dB" if "psnr" in self.monitor_metric.rpartition("/")[2] else ""
        self.sign = 1.0
        # What is remembered. Values are turned so that higher is better; `best` pairs are [value, iteration]. `crops`
        # are the errors of the averaged weights on the probe and of the scored ones on training crops.
        with self.remembering():
            self.iterations: list[int] = []
            self.values: list[float] = []
            self.changes: list[int] = []
            self.gaps: list[float] = []
            self.crops: list[list[float]] = [[], []]
            self.best_crops = self.crops
            self.best: list[Any] = []
            self.raw_best: list[Any] = []
            self.fallback_best: list[Any] = []
            self.non_finite = self.stops = self.stopped_at = 0
            self.projected: float | None = None
            self.told: list[str] = []

    @classmethod
    def check_options(cls, options: Any, facts: OptionFacts) -> Iterator[OptionProblem | OptionWarning]:
        """Report a hard limit before the soft one and a score that is not computed; warn of values that are raised."""
        yield from check_order(options, "patience", "max_no_improvement")
        if facts.is_on:
            yield from check_score("monitor_metric", options.monitor_metric, facts)
            yield from cls._warn_raised(options, facts)
            yield from cls._warn_units(options)

    @classmethod
    def _warn_raised(cls, options: Any, facts: OptionFacts) -> Iterator[OptionWarning]:
        """Warn of values in whose place a larger one is used."""
        frequency = facts.val_freq if facts.is_validating else None
        least = None if frequency is None else LEAST_VALIDATIONS * frequency
        for key, what, limit in (
            ("patience", f"{LEAST_VALIDATIONS} validations", least),
            ("warmup_iterations", "train.warmup_iter", facts.warmup_iter),
        ):
            value = getattr(options, key)
            if None not in (value, limit) and value < limit:
                yield OptionWarning(f"{cls.__name__}.{key} = {value} is below {what}: {limit} is used")

    @classmethod
    def _warn_units(cls, options: Any) -> Iterator[OptionWarning]:
        """Warn of thresholds in dB for a metric that is not in dB: an SSIM never gains 0.05."""
        metric = options.monitor_metric or ""
        missing = [key for key in IN_DB if key not in options.model_fields_set]
        if missing and "psnr" not in metric.rpartition("/")[2].lower():
            yield OptionWarning(
                f"{cls.__name__}: the defaults of {', '.join(missing)} are in dB; give values in units of {metric}"
            )

    @classmethod
    def watched_scores(cls, options: Any) -> Iterable[str]:
        """Return the monitored score."""
        return (options.monitor_metric,)

    def on_start(self, run: RunStarted) -> Iterator[Decision]:
        """Fit patience, warm-up and window to the run, and say which options cannot act in it."""
        self.val_freq = run.val_freq or run.total_iter
        if self.stops and run.iteration:  # its options were changed in order to go on
            self.stops = self.stopped_at = 0
        self.patience = max(self.patience, LEAST_VALIDATIONS * (run.val_freq or 0))
        self.length = self._validations(self.patiences * self.patience)
        self.warmup_iterations = max(self.warmup_iterations, run.warmup_iter)
        self.sign = -1.0 if run.metrics.get(self.monitor_metric) == "lower" else 1.0
        self.run, self.total_iter = run, run.total_iter
        self.kept = max(2 * self.length, self._validations(2 * run.total_iter / (REACH + 1)), NOISE_VALIDATIONS)
        epochs = self.min_epochs * run.epoch_iter if self.min_epochs else 0.0
        if epochs <= run.total_iter:
            self.min_iterations = max(self.min_iterations, math.ceil(epochs))
        yield from self._without_effect(epochs)

    def _without_effect(self, epochs: float) -> Iterator[Say]:
        """Name the options that change nothing in this run, and why; warn of one that lets nothing stop."""
        end, patience, limit = self.total_iter, self.patience, self.hard_limit
        starts = {"min_iterations": self.min_iterations, "warmup_iterations": self.warmup_iterations}
        starts["patience"] = self.warmup_iterations + patience
        if late := [f"{name} lets nothing stop before {at:,}" for name, at in starts.items() if at >= end]:
            yield Say(f"cannot act in a run of {end:,} iterations: {late[0]}", warn=True)
        idle = {
            f"min_epochs {self.min_epochs} (the run ends before)": epochs > end,
            "max_no_improvement (it equals patience)": self.is_limit_patience,
            f"max_no_improvement {limit} (the run ends before)": limit is not None
            and self.warmup_iterations + limit >= end,
            "improvement_threshold (min_projected_gain decides before)": self.improvement_threshold * end
            < self.min_projected_gain * patience,
        }
        if named := [text for text, is_idle in idle.items() if is_idle]:
            yield Say(f"without effect in this run: {', '.join(named)}")

    def on_probe(self, event: ProbeFinished) -> Iterable[Decision]:
        """Keep the errors of the average, and how much better they are than those of the live weights, in dB."""
        gap = LOG_TO_DB * (fmean(event.live) - fmean(event.average)) if event.live else math.nan
        if math.isfinite(gap):
            self.crops = [list(event.average), self.crops[1]]
            self.gaps = [*self.gaps, gap][-PROBES:]
        return ()

    def on_change(self, event: KnobChanged) -> None:
        """Let the trend's windows have another level from here on, unless what moves it is less than its noise."""
        if event.knob == LR_FACTOR and event.new < event.old and self._worth(1 - event.new / event.old) < self._noise():
            return  # pairs of validations that are lost to a break are evidence lost
        if event.knob in (LR_FACTOR, LR_BATCH, BATCH_SIZE) or event.knob.startswith(LOSS_WEIGHT):
            self.changes = [*self.changes, event.iteration]

    def on_validation(self, event: ValidationFinished) -> Iterator[Decision]:
        """Record the score and stop where a rule says so."""
        score = event.scores.get(self.monitor_metric)
        if score is None or event.iteration < self.warmup_iterations or self.stops >= self.max_adjustments:
            return
        if not math.isfinite(score):
            self.non_finite += 1
            if self.non_finite >= 3:
                reason = f"{self.monitor_metric} was not finite in {self.non_finite} validations in a row"
                yield self._stop(event.iteration, reason, {"window": self.non_finite}, failed=True)
            return
        self.non_finite = 0
        self.crops = [self.crops[0], list(event.training)]
        self._record(event.iteration, self.sign * score)
        yield from self._examine(event.iteration)

    def fallback_rule(self, event: ValidationFinished) -> Iterator[Decision]:
        """Stop after a patience without improvement; needs nothing that was remembered before."""
        score = event.scores.get(self.monitor_metric)
        if score is None or not math.isfinite(score) or event.iteration < self.warmup_iterations or self.stops:
            return
        value = self.sign * score
        if not _is_pair(self.fallback_best) or value > self.fallback_best[0] + self.min_improvement:
            self.fallback_best = [value, event.iteration]
        flat = event.iteration - self.fallback_best[1]
        if flat >= self.patience and event.iteration >= self.min_iterations:
            evidence = {"estimate": score, "window": flat, "threshold": self.min_improvement}
            reason = f"no improvement in {self.monitor_metric} for {flat} iterations"
            yield self._stop(event.iteration, reason, evidence)

    def summary(self) -> str:
        """Return where it stopped, or what the rest of the run still promised when last checked."""
        if self.stops:
            best, place = self.raw_best if _is_pair(self.raw_best) else (math.nan, 0)
            where = f", best {self.sign * best:.4g} at {place:,}" if place else ""
            return f"at {self.stopped_at:,}{where}"
        gain = "" if self.projected is None else f", projected gain {self._gain(self.projected)}"
        return f"not triggered{gain}"

    def _record(self, iteration: int, value: float) -> None:
        self.iterations = [*self.iterations, iteration][-self.kept :]
        self.values = [*self.values, value][-self.kept :]
        self.changes = [at for at in self.changes if at >= self.iterations[0]]
        if not self.raw_best or value > self.raw_best[0]:
            self.raw_best = [value, iteration]
        if not self.best or self._smoothed() > self.best[0] + max(self.min_improvement, self._noise()):
            self.best, self.best_crops = [self._smoothed(), iteration], self.crops

    def _noise(self) -> float:
        return noise_sd(self.values[-NOISE_VALIDATIONS:])

    def _smoothed(self) -> float:
        return median(self.values[-RECENT:])

    def _validations(self, span: float) -> int:
        return max(VALIDATIONS, math.ceil(span / self.val_freq) + 1)

    def _trend(self, length: int, since: int = 0) -> Trend | None:
        """Return the trend of the newest `length` values, if so many are from after iteration `since`."""
        if len(self.values) - bisect_right(self.iterations, since) < length:
            return None
        at, values = self.iterations[-length:], self.values[-length:]
        window = min(self.run.average_iter, at[-1] / YOUNG)
        widening = dependence(self.val_freq, window, correlation(at, values))
        return theil_sen(at, values, self.confidence, self.changes, widening)

    # The rules

    def _examine(self, iteration: int) -> Iterator[Decision]:
        remaining = self.total_iter - iteration
        whole = self._trend(self.length)
        length = max(self.length, self._validations(remaining / REACH))
        dropped = [at for at in milestones(self.schedule, 0, self.total_iter) if at < iteration]
        # Where a curve bends down, a longer window promises more, never less: the surer of two may decide.
        trends = [self._trend(many, max(dropped, default=0)) for many in (length, 2 * length)] if whole else []
        steady = min((trend for trend in trends if trend), key=lambda trend: trend.upper, default=None)
        if steady and remaining > 0:
            self.projected = max(steady.upper * remaining, 0.0)
            yield from self._tell("resolution", self._resolution(steady))
        if remaining < WORTH_SAVING * self.total_iter:
            return
        is_due = iteration >= self.min_iterations and iteration - self.best[1] >= self.patience
        is_settled = len(self.iterations) - bisect_right(self.iterations, max(self.changes, default=0)) >= RECENT
        overfitting = self._overfitting(whole) if is_due and whole else None
        others = [self._convergence(iteration, steady)] if is_due and is_settled and steady else []
        others += [self._hard_limit(iteration)] if iteration >= self.min_iterations else []
        stop = next((one for one in (overfitting, *others) if one), None)
        if stop and stop is not overfitting and self._waits(iteration):
            yield from self._tell("wait", f"waiting for a lower learning rate: {stop.reason}")
        elif stop:
            yield self._stop(iteration, stop.reason, stop.evidence)

    def _overfitting(self, trend: Trend) -> Stop | None:
        # The best is the highest of many smoothed values, so one more low triple is not a fall: the window must be low,
        # or the training crops must have become better since. A dip that the newest value has left is none either:
        # weights that wander move all crops at once, which their paired comparison cannot tell from a fall.
        (held_out, training), (best_held_out, best_training) = self.crops, self.best_crops
        learns = clearly_lower(training, best_training, self.confidence)
        highest = max(self.values[-RECENT:])
        low = highest if learns else max(highest, median(self.values[-self.length :]))
        fall = self.best[0] - low
        threshold = max(self.min_projected_gain, 1.5 * self._noise()) * (1 if learns else 2)
        falls = trend.upper < 0 or clearly_lower(best_held_out, held_out, self.confidence)
        if not (fall > threshold and falls) or learns is False:
            return None
        reason = f"overfitting, {self.monitor_metric} is {self._gain(fall)} below its best and falling"
        return Stop(reason, self._evidence(trend, threshold) | {"fall": fall, "training_improves": learns})

    def _convergence(self, iteration: int, trend: Trend) -> Stop | None:
        rise, annealing = max(trend.upper * (self.total_iter - iteration), 0.0), self._annealing(iteration)
        threshold = max(self.min_projected_gain, self.min_improvement)
        flat, gain = iteration - self.best[1], rise + annealing
        if gain >= threshold and trend.upper * self.patience >= self.improvement_threshold:
            return None
        reason = f"no improvement in {self.monitor_metric} for {flat} iterations; projected gain {self._gain(gain)}"
        return Stop(reason, self._evidence(trend, threshold) | {"projected_gain": gain, "annealing": annealing})

    def _hard_limit(self, iteration: int) -> Stop | None:
        limit, waited = max(self.hard_limit or 0, self.patience), iteration - self.raw_best[1]
        if self.hard_limit is None or waited < limit:
            return None
        reason = f"no new best of {self.monitor_metric} for {waited} iterations, limit {limit}"
        return Stop(reason, {"estimate": self.sign * self.raw_best[0], "window": waited, "threshold": limit})

    @property
    def schedule(self) -> Schedule:
        """The schedule, and what the rate automation's fallback makes of it."""
        return with_fallback(self.run.schedule, self.knobs[LR_FACTOR])

    def _annealing(self, iteration: int) -> float:
        """Return what the metric still gains from a smooth fall of the rate."""
        share = share_to_fall(self.schedule, iteration, self.total_iter) if self.respect_schedule else 0.0
        return self._worth(share) if share else 0.0

    def _worth(self, share: float) -> float:
        """Return what the metric gains when the rate falls by a share; infinite where that was not measured."""
        if not (self.run.average_iter and self.gaps):
            return math.inf
        gain = ANNEALING * share * max(median(self.gaps), 0.0)
        return gain if self.unit else (math.inf if gain >= LEAST_DB else 0.0)

    def _waits(self, iteration: int) -> bool:
        """Tell whether a drop of the rate is really coming: announced, nearly decided, or worth its annealing."""
        if not self.respect_schedule:
            return False
        knob, threshold = self.knobs[LR_FACTOR], max(self.min_projected_gain, self.min_improvement)
        is_pending = knob.pending >= PENDING and not (knob.is_frozen or knob.is_disabled) and knob.value > knob.low
        # Not even a fall to zero is worth to wait for where the averaged weights are hardly better than the live ones.
        is_pending = is_pending and self._worth(1.0) >= threshold
        is_announced = bool(milestones(self.schedule, iteration, self.total_iter))
        return is_pending or is_announced or self._annealing(iteration) >= threshold

    # What it says

    def _stop(self, iteration: int, reason: str, evidence: Any, failed: bool = False) -> Stop:
        self.stops, self.stopped_at = self.stops + 1, iteration
        return Stop(reason, evidence, self.monitor_metric if self.restore_best else None, failed)

    def _evidence(self, trend: Trend, threshold: float) -> dict[str, float]:
        return trend.evidence(self.patience) | {"threshold": threshold, "noise_sd": self._noise()}

    def _resolution(self, trend: Trend) -> str:
        noise, least = self._noise(), (trend.upper - trend.slope) * self.patience
        return (
            f"{self.monitor_metric} varies by {self._gain(noise)} from one validation to the next; "
            f"a trend below {self._gain(least)} per {self.patience} iterations cannot be distinguished from no trend"
        )

    def _tell(self, topic: str, text: str) -> Iterator[Say]:
        if topic not in self.told:
            self.told.append(topic)
            yield Say(text)

    def _gain(self, value: float) -> str:
        return f"{value:.2f}{self.unit}" if self.unit else f"{value:.2g}"


def _is_pair(value: Any) -> bool:
    numbers = isinstance(value, list) and all(isinstance(part, (int, float)) and math.isfinite(part) for part in value)
    return numbers and len(value) == 2
