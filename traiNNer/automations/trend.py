"""Trend and noise of a short series by ranks, so that a single wild value cannot move them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

POINTS = 64
"""Longer series are averaged down to this many points: the number of pairs grows with the square."""
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Trend:
    """Slope in units of the series per iteration, the bounds of its two-sided interval, and the iterations it spans."""

    slope: float
    lower: float
    upper: float
    confidence: float
    window: float

    @property
    def se(self) -> float:
        """Return the standard error that the width of the interval stands for."""
        return (self.upper - self.lower) / (2 * quantile(self.confidence))


def theil_sen(x: Sequence[float], y: Sequence[float], confidence: float) -> Trend:
    """Return the median slope of all pairs and Sen's interval by ranks; `x` rises strictly and has two or more points.

    Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968. Ties in `y` are not taken
    off the variance, which makes the interval a little wider.
    """
    across, along = _thin(x), _thin(y)
    n = len(across)
    first, second = _pairs(n)
    slopes = np.sort((along[second] - along[first]) / (across[second] - across[first]))
    pairs = len(slopes)
    spread = quantile(confidence) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((pairs - spread) / 2) - 1)
    middle = (slopes[(pairs - 1) // 2] + slopes[pairs // 2]) / 2
    return Trend(float(middle), float(slopes[low]), float(slopes[pairs - 1 - low]), confidence, x[-1] - x[0])


def noise_sd(values: Sequence[float]) -> float:
    """Return the robust standard deviation of a value about its trend, from successive differences; 0 for under 4."""
    if len(values) < 4:
        return 0.0
    steps = [new - old for old, new in pairwise(values)]
    middle = median(steps)
    return MAD_TO_SD * median(abs(step - middle) for step in steps) / math.sqrt(2)


@cache
def quantile(confidence: float) -> float:
    """Return how many standard errors a two-sided interval reaches to each side."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(n, 1)
    return first, second


def _thin(values: Sequence[float]) -> NDArray[np.float64]:
    full = np.asarray(values, dtype=float)
    if len(full) <= POINTS:
        return full
    return np.array([part.mean() for part in np.array_split(full, POINTS)])
