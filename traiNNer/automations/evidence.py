"""Evidence that may be looked at at any time: e-processes for the slope of a noisy series.

An e-process is below 1/alpha at all times with probability 1 - alpha where what it argues against is true (Ville's
inequality), however often it is looked at; Ramdas et al., "Game-Theoretic Statistics and Safe Anytime-Valid
Inference", 2023.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

ALPHA = 0.01
"""Chance of one false alarm in a whole run and automation."""
SURE = math.log(1 / ALPHA)
LEAST_POINTS = 12


class Slope(NamedTuple):
    """Change per unit of x, its standard error, and from how many points."""

    value: float
    se: float
    points: int


def ols_slope(values: ArrayLike, spacing: float = 1.0) -> Slope:
    """Return the least-squares slope of equally spaced values, leaving out those that are not numbers."""
    y = np.asarray(values, dtype=float)
    x = np.flatnonzero(np.isfinite(y)) * spacing
    y = y[np.isfinite(y)]
    if len(y) < 3:
        return Slope(math.nan, math.nan, len(y))
    x, y = x - x.mean(), y - y.mean()
    power = float(x @ x)
    slope = float(x @ y) / power
    rest = y - slope * x
    return Slope(slope, math.sqrt(float(rest @ rest) / (len(y) - 2) / power), len(y))


def log_e_flat(slope: Slope, least: float) -> float:
    """Return the evidence, as a logarithm, that a series does not fall by `least` per unit, but stays flat.

    It is the likelihood ratio of slope 0 to slope `-least` with the level left open, which for normal noise is an
    e-process against every fall of `least` or more: log e = least (slope + least / 2) / se^2. The least-squares slope
    must be taken over all points since a start that was fixed beforehand; with several starts the evidence is the mean
    of e over them (`mean_of`).
    """
    if not (math.isfinite(slope.value) and slope.se > 0):
        return -math.inf
    return least * (slope.value + least / 2) / slope.se**2


def mean_of(logs: list[float]) -> float:
    """Return the logarithm of the mean of e-values, itself evidence; of none it is minus infinity."""
    top = max(logs, default=-math.inf)
    if not math.isfinite(top):
        return top
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


def flatness(values: Sequence[float], spacing: float, least: float, units: float) -> float:
    """Return the logarithm of the evidence that equally spaced values do not fall by `least` per unit.

    The mean over starts that are fixed beforehand: at the first value, every unit, and later every eighth of what there
    is, within `units`. A start that has not enough values yet has the evidence 1.
    """
    starts = [0.0]
    while starts[-1] + 1 < units:
        starts.append(starts[-1] + max(1.0, starts[-1] / 8))
    return mean_of([_flatness(values[round(start / spacing) :], spacing, least) for start in starts])


def _flatness(values: Sequence[float], spacing: float, least: float) -> float:
    slope = ols_slope(values, spacing)
    if slope.points < LEAST_POINTS:
        return 0.0
    # An error that is estimated from the same points is too small at times: Student's distribution is wider by this.
    return log_e_flat(slope._replace(se=slope.se * math.sqrt((slope.points - 2) / (slope.points - 4))), least)
