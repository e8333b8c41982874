"""Small statistics of noisy series: trimmed means, slopes with their uncertainty."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Mean(NamedTuple):
    """A mean and its standard error."""

    value: float
    se: float


class Slope(NamedTuple):
    """Change per unit of x, its standard error, and from how many points."""

    value: float
    se: float
    points: int


def trimmed_mean(values: Sequence[float], share: float = 0.1) -> Mean:
    """Return the mean without the `share` lowest and highest values, and its standard error.

    The error is that of Tukey and McLaughlin (1963): the winsorised standard deviation over (1 - 2 share) sqrt(n).
    It is not a number for fewer than two values.
    """
    ordered, count = sorted(values), len(values)
    cut = int(share * count)
    inner = ordered[cut : count - cut]
    if not inner:
        return Mean(math.nan, math.nan)
    if count < 2:
        return Mean(inner[0], math.nan)
    sum_inner = math.fsum(inner)
    middle = (sum_inner + cut * (inner[0] + inner[-1])) / count
    spread = math.fsum([(value - middle) ** 2 for value in inner])
    spread += cut * ((inner[0] - middle) ** 2 + (inner[-1] - middle) ** 2)
    return Mean(sum_inner / len(inner), math.sqrt(spread / (count - 1) / count) * count / len(inner))


def neighbor_sd(values: Sequence[float]) -> float:
    """Return the standard deviation of independent noise around a level that may drift, from neighboring values.

    The median distance of neighbors is 0.954 of it for normal noise; von Neumann (1941) uses the mean square instead.
    """
    distances = [abs(b - a) for a, b in pairwise(values)]
    return median(distances) / 0.954 if distances else math.nan


def ols_slope(values: ArrayLike, spacing: float = 1.0) -> Slope:
    """Return the least-squares slope of equally spaced values, leaving out those that are not numbers."""
    y = np.asarray(values, dtype=float)
    x, power = _grid(len(y))
    total = float(y.sum())
    if not math.isfinite(total):
        known = np.isfinite(y)
        x, y = x[known], y[known]
        x = x - x.sum() / max(1, len(x))
        power, total = float(x @ x), float(y.sum())
    if len(y) < 3:
        return Slope(math.nan, math.nan, len(y))
    y = y - total / len(y)
    slope = float(x @ y) / power
    rest = y - slope * x
    return Slope(slope / spacing, math.sqrt(float(rest @ rest) / (len(y) - 2) / power) / spacing, len(y))


@cache
def _grid(count: int) -> tuple[np.ndarray, float]:
    """Return the centerd positions of equally spaced values and the sum of their squares."""
    x = np.arange(count) - (count - 1) / 2
    return x, float(x @ x)
