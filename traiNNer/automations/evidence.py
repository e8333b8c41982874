"""Evidence that may be looked at at any time: e-processes for the slope of a noisy series.

An e-process is below 1/alpha at all times with probability 1 - alpha where what it argues against is true (Ville's
inequality), however often it is looked at; Ramdas et al., "Game-Theoretic Statistics and Safe Anytime-Valid
Inference", 2023.
"""

import math

from traiNNer.automations.statistics import Slope

ALPHA = 0.01
"""Chance of one false alarm in a whole run and automation."""
SURE = math.log(1 / ALPHA)


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
