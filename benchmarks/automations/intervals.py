"""Means with 95 % intervals over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t as student


@dataclass(frozen=True)
class Interval:
    """A mean and the two ends of its 95 % interval (Student's t); the ends are not numbers for a single value."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """Return the interval of values that are independent; not finite if one of them is not."""
        if not values:
            return cls(math.nan, math.nan, math.nan)
        mean = fmean(values)
        if len(values) < 2 or not math.isfinite(mean):
            return cls(mean, math.nan, math.nan)
        half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        """Return the mean and the interval in a table's cell."""
        if math.isnan(self.mean):
            return "-"
        ends = "" if math.isnan(self.low) else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.mean:+.3f}{ends}"


def by_seed(values: Sequence[tuple[int, float]]) -> list[float]:
    """Return the mean of each seed's values: the runs of one seed share their crops, so seeds are what varies."""
    seeds = sorted({seed for seed, _ in values})
    return [fmean(value for one, value in values if one == seed) for seed in seeds]
