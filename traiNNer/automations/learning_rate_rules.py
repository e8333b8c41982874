"""Rules of the learning-rate automation without any event: its options, levels of the loss, verdicts of the probe."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from traiNNer.automations.trend import noise_sd
from traiNNer.config.automation_rules import OptionFacts, OptionProblem
from traiNNer.engine.control.events import Direction, Evidence, Step
from traiNNer.registry import StrictOptions

SIGMAS = 5.0
WORSE, MUCH_WORSE = math.log(1.05), math.log(1.5)
"""Rise of the averaged errors that is a divergence (0.4 dB); that of live weights, or with several losses (3.5 dB)."""
BROKEN_STEPS, SKIPPED_STEPS = 3, 10
CONSTANT, TRIMMED = 0.01, 0.1


class CosineParams(StrictOptions):
    """Parameters of the schedule that takes over."""

    eta_min: Annotated[float, Field(ge=0)] = 0.0
    """The lowest learning rate itself, not a factor."""
    T_max: Annotated[int, Field(ge=1)] | None = None
    """Accepted, but always `train.total_iter`."""


class ScheduleFallback(StrictOptions):
    """The schedule that is active after the automation was disabled, where the file names none."""

    scheduler_type: Literal["cosine"] = "cosine"
    """Kind of the schedule."""
    scheduler_params: CosineParams = Field(default_factory=CosineParams)
    """Its parameters."""


FALLBACK = ScheduleFallback()


class Mean(NamedTuple):
    """A mean and its standard error."""

    value: float
    se: float


@dataclass
class Level:
    """The lowest mean of the signal over a few iterations, the error of such means, and how far the last is above."""

    best: float | None = None
    se: float = math.nan
    rise: float = 0.0

    def is_lowest(self, mean: Mean) -> bool:
        """Note a mean; whether it is the lowest so far."""
        if math.isfinite(mean.se):
            self.se = math.sqrt(0.95 * self.se**2 + 0.05 * mean.se**2) if math.isfinite(self.se) else mean.se
        is_lowest = self.best is None or mean.value < self.best
        self.best = mean.value if is_lowest or self.best is None else self.best
        self.rise = mean.value - self.best
        return is_lowest

    def forget(self) -> None:
        """Let the next mean be the lowest."""
        self.best = None

    def is_high(self, least: float) -> bool:
        """Whether the last mean is above the lowest by `least` and by five standard errors of the difference."""
        return self.rise > max(least, SIGMAS * math.sqrt(2) * self.se)


@dataclass
class Blocks:
    """Means of values over blocks of `size` iterations since `opened`."""

    size: int
    opened: int = 0
    values: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)

    def add(self, values: Sequence[float]) -> None:
        """Note the values of a few iterations."""
        self.values = [*self.values, *values]

    def close(self, iteration: int) -> None:
        """End a block; it counts where at least half of its steps were seen."""
        if iteration - self.size >= self.opened:
            is_full = 2 * len(self.values) >= self.size
            self.levels.append(mean_of_steps(self.values).value if is_full else math.nan)
        self.values = []

    def restart(self, opened: int) -> None:
        """Forget what is not comparable with what comes; collect from `opened` on."""
        self.levels, self.opened = [], opened


def mean_of_steps(values: Sequence[float]) -> Mean:
    """Return the mean without a tenth at each end, and its error from neighbors: a moving level is no noise."""
    cut = int(TRIMMED * len(values))
    inner = sorted(values)[cut : len(values) - cut]
    if not inner:
        return Mean(math.nan, math.nan)
    return Mean(math.fsum(inner) / len(inner), noise_sd(values) / math.sqrt(len(values)))


def compare(errors: Sequence[float], before: Sequence[float]) -> Mean:
    """Return how much worse errors are than others on the same crops in the mean, and its error; NaN stays NaN."""
    apart = [one - other for one, other in zip(errors, before, strict=True)]
    mean = math.fsum(apart) / len(apart)
    spread = math.fsum((one - mean) ** 2 for one in apart)
    return Mean(mean, math.sqrt(spread / max(1, len(apart) - 1) / len(apart)))


def is_worse(change: Mean, least: float) -> bool:
    """Whether errors have risen by `least` and by five paired standard errors; those that are NaN have."""
    return not change.value <= max(least, SIGMAS * change.se)


def is_constant(schedule: Callable[[int], float], first: int, last: int) -> bool:
    """Whether a scheduled rate stays as it is from one iteration to another."""
    now = schedule(first)
    places = range(first, last, max(1, (last - first) // 64))
    return now > 0 and all(abs(schedule(place) / now - 1) < CONSTANT for place in places)


def cosine(total_iter: int, last: float, schedule: Callable[[int], float], warmup_iter: int) -> Callable[[int], float]:
    """Return the factor that makes a schedule half a cosine to `last` from the warm-up on."""

    def factor(iteration: int) -> float:
        wanted = last + (1 - last) * (1 + math.cos(math.pi * min(1.0, iteration / total_iter))) / 2
        return wanted / ((schedule(iteration) if iteration >= warmup_iter else 1.0) or 1.0)

    return factor


def log_error(metric: str, better: Direction, value: float) -> float:
    """Return a score as the logarithm of an error, so that its change is relative like that of the loss.

    Decibels become the logarithm of the root-mean-square error; a score whose best value is 1 becomes log(1 - score).
    NaN where there is no such reading.
    """
    if metric.rpartition("/")[2].startswith("psnr"):
        return -value * math.log(10) / 20
    error = value if better == "lower" else 1 - value
    return math.log(error) if error > 0 else math.nan


def skipped_in_a_row(steps: Sequence[Step], before: Sequence[int]) -> list[int]:
    """Return how many steps at the end made no update, and how many of these had a loss that is not finite."""
    skipped, broken = before
    for step in steps:
        skipped, broken = (0, 0) if step.applied else (skipped + 1, broken + (not math.isfinite(step.loss)))
    return [skipped, broken]


def is_broken(in_a_row: Sequence[int]) -> bool:
    """Whether it will not pass by itself: fp16 skips a few steps with finite loss, and clipping up to five."""
    return in_a_row[1] >= BROKEN_STEPS or in_a_row[0] > SKIPPED_STEPS


def evidence_of(change: Mean, threshold: float) -> Evidence:
    """Return a change, its error and what it was compared with, as a decision records them."""
    return {"estimate": change.value, "se": change.se, "threshold": threshold}


def sets_its_own_rate(optimizer: str) -> bool:
    """Whether an optimizer needs no schedule."""
    name = optimizer.lower().replace("_", "")
    return "schedulefree" in name or "prodigy" in name


def check_alone(facts: OptionFacts) -> Iterator[OptionProblem]:
    """Report validation that is watched alone and not there; beside the loss it is a veto that may be missing."""
    if facts.scores is None:
        return
    if facts.is_validating is False:
        yield OptionProblem("monitor_loss", "monitor_validation alone needs validation: val.val_enabled is false")
    elif not facts.scores:
        wanted = "add val.metrics, with val.metrics_enabled on"
        yield OptionProblem("monitor_loss", f"monitor_validation alone needs a metric: {wanted}")
