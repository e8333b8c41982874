"""Rules of the learning-rate automation without any event: block means, the level to defend, flatness, the envelope."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from traiNNer.automations.statistics import (
    Mean,
    Slope,
    neighbor_sd,
    ols_slope,
    sen_slope,
    student_quantile,
    trimmed_mean,
)
from traiNNer.engine.control.events import Direction, Step

BLOCK = 50
WINDOWS = (1, 2, 4, 8, 16)
MAX_ROLLBACKS = 3
CHECKS = 3
SIGMAS = 5.0
RISE, RISE_OF_MANY = 0.1, 0.5
EXPLOSION, EXPLOSION_OF_MANY = 0.5, 1.0
PARTS, MEDIAN_ERROR = 5, 1.2533
PROBATION = 200
RETREAT, RETREAT_AGAIN = 0.5, 0.25
CONFIDENCE, VETO_CONFIDENCE = 0.9973, 0.9
COARSE = 2.0
NORMAL = {3: 0.99865, 4: 0.9999683}
BROKEN_STEPS, SKIPPED_STEPS = 3, 10


@dataclass
class Blocks:
    """Means of the signal over blocks of `size` iterations, since `opened` and at most `most` of them."""

    size: int
    most: int
    opened: int = 0
    values: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)

    def add(self, steps: Iterable[Step]) -> None:
        """Take the signal of every step that made an update."""
        self.values += [value for step in steps if math.isfinite(value := step.signal())]

    def worst_part(self) -> float:
        """Return the level of the worst fifth of the open block, by its median, which one odd batch does not move."""
        length = len(self.values) // PARTS
        levels = [median(self.values[part * length : (part + 1) * length]) for part in range(PARTS) if length > 1]
        return max(levels, default=-math.inf)

    def close(self, iteration: int) -> Mean:
        """End a block and return its mean; NaN when less than half of its steps were seen."""
        seen, self.values = self.values, []
        mean = Mean(math.nan, math.nan)
        if 2 * len(seen) >= self.size:
            # From neighbors, which a level on the move within the block says little about.
            mean = Mean(trimmed_mean(seen).value, neighbor_sd(seen) / math.sqrt(len(seen)))
        if iteration - self.size >= self.opened:
            self.levels = [*self.levels[1 - self.most :], mean.value]
        return mean

    def drop_open(self) -> None:
        """Forget what the open block has seen."""
        self.values = []

    def restart(self, opened: int) -> None:
        """Forget what is not comparable with what comes; collect from `opened` on."""
        self.levels, self.opened = [], opened

    def slope(self, patience: int, count: int = 0) -> Slope:
        """Return the slope of the last `count` blocks (0: of all) per `patience` iterations."""
        return ols_slope(self.levels[-count:], self.size / patience)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        state = {"opened": self.opened, "values": list(self.values), "levels": list(self.levels)}
        return state | {"size": self.size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.opened = state["opened"]
        if state["size"] == self.size:  # means over blocks of another length are not comparable
            self.values, self.levels = list(state["values"]), list(state["levels"])


@dataclass
class Level:
    """The best level so far, the level of the snapshot, and how far the last blocks are above."""

    start: float | None = None
    best: Mean | None = None
    saved: float | None = None
    saved_at: int | None = None
    se: float = math.nan
    seen: int = 0
    risen: list[float] = field(default_factory=list)

    def is_best(self, mean: Mean) -> bool:
        """Note a block mean; whether it is the lowest so far."""
        if self.best is not None and not mean.value < self.best.value:
            return False
        self.best = mean
        return True

    def begin(self, value: float) -> None:
        """Note the first value of the run: that of weights that nothing has touched yet."""
        self.start = value
        self.save(0, value)

    def explosion(self, worst: float, se: float, size: int, least: float) -> float:
        """Return how far the worst part of a block is above the best level, or the start; 0 unless by `least` and sure.

        Weights that have been half as bad again, be it for ten iterations, rarely recover: activations die, and what
        looks like a recovery is the network falling back to its skip connection. `se` is that of the block's mean, over
        `size` values.
        """
        if self.best is None and self.start is None:
            return 0.0
        # The start is a single value; the best of many blocks lies three errors below their level.
        first = Mean(self.start or 0.0, se * math.sqrt(size))
        best, sigmas = (self.best, SIGMAS + 1) if self.best else (first, SIGMAS - 1)
        rise, error = worst - best.value, self._pooled(se) * math.sqrt(PARTS) * MEDIAN_ERROR
        return rise if rise > max(least, sigmas * math.hypot(error, best.se)) else 0.0

    def rise(self, mean: Mean, least: float) -> float:
        """Return how far the last three blocks are above the best in the mean; 0 unless all of them clearly are.

        Clearly is: by `least` and by five standard errors of the difference.
        """
        best = self.best or mean
        rise = mean.value - best.value
        if rise > max(least, SIGMAS * math.hypot(self._pooled(mean.se), best.se)):
            self.risen = [*self.risen[1 - CHECKS :], rise]
        else:
            self.risen = []
            self._pool(mean.se)
        return sum(self.risen) / CHECKS if len(self.risen) == CHECKS else 0.0

    def save(self, iteration: int, level: float) -> None:
        """Note what the snapshot stands for."""
        self.saved, self.saved_at = level, iteration

    def is_below_saved(self, mean: Mean) -> bool:
        """Whether a block is better than what the snapshot stands for."""
        return self.saved is None or mean.value < self.saved

    def accept(self, level: float | None) -> None:
        """Measure from this level on."""
        se = self.se if math.isfinite(self.se) else 0.0
        self.best = None if level is None else Mean(level, se)
        self.risen = []

    def forget(self) -> None:
        """Start again: levels from before and after are not comparable."""
        self.start = self.best = self.saved = self.saved_at = None
        self.risen = []

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return vars(self) | {"best": None if self.best is None else list(self.best), "risen": list(self.risen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        vars(self).update(state)
        self.best = None if state["best"] is None else Mean(*state["best"])
        self.risen = list(state["risen"])

    def _pooled(self, se: float) -> float:
        return self.se if self.seen else se

    def _pool(self, se: float) -> None:
        self.seen += 1
        weight = max(1 / self.seen, 0.05)
        old = self.se if self.seen > 1 else se
        self.se = math.sqrt((1 - weight) * old**2 + weight * se**2)


def quantile(slope: Slope, is_short: bool, sigmas: int = 3) -> float:
    """Return how many standard errors are as sure as three sigma are with a known error: Student's for a short window.

    It is Student's quantile of the normal distribution's probability.
    """
    return student_quantile(slope.points - 2, NORMAL[sigmas]) if is_short else float(sigmas)


def upper_fall(slope: Slope, is_short: bool, least: float) -> float:
    """Return the upper bound of the fall per patience: at three sigma, four where a window hardly resolves `least`.

    Such windows could only speak up by a fluke, and there are many of them in a long run.
    """
    reach = quantile(slope, is_short) * slope.se
    if reach > COARSE * least:
        reach = quantile(slope, is_short, 4) * slope.se
    return reach - slope.value


@dataclass(frozen=True)
class Flat:
    """A window in which the loss demonstrably falls by less than asked: the change per patience and its error."""

    slope: Slope
    window: int


def find_flat(blocks: Blocks, patience: int, least: float) -> Flat | None:
    """Return the shortest window in which the fall per patience is below `least` even at its upper bound.

    A test of equivalence: it can answer yes only where the noise permits the statement. Windows are 1, 2, 4, 8 and
    16 times the patience and everything there is.
    """
    lengths = [round(many * patience / blocks.size) for many in WINDOWS]
    have = len(blocks.levels)
    for count in sorted({length for length in [*lengths, have] if lengths[0] <= length <= have}):
        slope = blocks.slope(patience, count)
        if upper_fall(slope, count < lengths[2], least) < least:
            return Flat(slope, count * blocks.size)
    return None


def envelope(iteration: int, total_iter: int, warmup_iter: int, schedule: Callable[[int], float]) -> float:
    """Return the factor that makes the schedule a linear decay to zero, at most 1.

    Linear decay to zero is optimal in the worst case: Defazio et al., "When, Why and How Much?", 2023.
    """
    now, first = schedule(iteration), schedule(warmup_iter)
    if now <= 0 or first <= 0:
        return 1.0
    return min(1.0, (1 - iteration / total_iter) * first / now)


def cosine(total_iter: int, last: float) -> Callable[[int], float]:
    """Return half a cosine from 1 at iteration 0 to `last` at the end."""
    return lambda iteration: last + (1 - last) * (1 + math.cos(math.pi * min(1.0, iteration / total_iter))) / 2


def log_error(metric: str, better: Direction, value: float) -> float:
    """Return a score as the logarithm of an error, so that its change is relative like that of the loss.

    Decibels become the logarithm of the root-mean-square error; a score whose best value is 1 becomes log(1 - score).
    NaN where there is no such reading.
    """
    if metric.rpartition("/")[2].startswith("psnr"):
        return -value * math.log(10) / 20
    error = value if better == "lower" else 1 - value
    return math.log(error) if error > 0 else math.nan


def slope_of(scores: Sequence[Sequence[float]], confidence: float) -> tuple[float, float, float]:
    """Return the slope of pairs of iteration and value, between the ends of its interval."""
    at, values = zip(*scores, strict=True)
    return sen_slope(at, values, confidence)


def skipped_in_a_row(steps: Sequence[Step], before: Sequence[int]) -> list[int]:
    """Return how many steps at the end made no update, and how many of these had a loss that is not finite."""
    if steps and steps[-1].applied:
        return [0, 0]
    skipped, broken = before
    for step in steps:
        skipped = 0 if step.applied else skipped + 1
        broken = 0 if step.applied or math.isfinite(step.loss) else broken + 1
    return [skipped, broken]


def is_broken(in_a_row: Sequence[int]) -> bool:
    """Whether so many steps in a row made no update that it will not pass by itself.

    Three losses that are not finite; more than ten steps whose loss was finite, since fp16 skips a few while it looks
    for its scale, and clipping skips up to five gradients that are far too large.
    """
    skipped, broken = in_a_row
    return broken >= BROKEN_STEPS or skipped > SKIPPED_STEPS


def resolvable(se: float, size: int, patience: int, windows: float) -> float:
    """Return the smallest change per patience that so many patiences distinguish from zero at three sigma."""
    return 3 * se * math.sqrt(12 * size / patience / windows**3)


def explain(se: float, size: int, patience: int, least: float) -> str:
    """Return from when on the noise permits a plateau to be proven, which explains why nothing happens before.

    What a window resolves falls with its length to the power of 1.5 (`resolvable`); none is shorter than the patience.
    """
    windows = max(1.0, (resolvable(se, size, patience, 1) / least) ** (2 / 3))
    return (
        f"Loss noise {100 * se:.1f} %: a plateau cannot be proven before about {patience * windows:,.0f} iterations, "
        "so the learning rate stays until then"
    )


def estimate(slope: Slope, se: float, patience: int, smallest: float) -> str:
    """Return the estimate of the change and its error."""
    reach = quantile(slope, slope.points < 50) * slope.se
    return (
        f"loss {slope.value:+.2%} per {patience:,} iterations, ±{reach:.2%} "
        f"({slope.points} blocks, which vary by {se:.2%}; resolvable: {smallest:.3%})"
    )
