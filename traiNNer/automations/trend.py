"""Trend and noise of a short series by ranks, which no single wild value can move; falls of paired errors."""

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
LEAST_CORRELATED, MOST_CORRELATED = 10, 0.85
"""Values that a correlation is estimated from, at least; the most that is believed: any curve that bends away from its
line looks like wandering, and one that fell for five patiences would never be stopped."""
ROUNDING = 1e-9
"""Share of a value that its distance from a straight line has by rounding alone."""


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

    def evidence(self, per: int) -> dict[str, float]:
        """Return the slopes per so many iterations, as a decision records them."""
        return {"estimate": self.slope * per, "se": self.se * per, "upper": self.upper * per, "window": self.window}


def dependence(spacing: float, window: float, seen: float = 0.0) -> float:
    """Return by how much the interval of a trend widens where values every `spacing` are averages over a `window`.

    Neighbors correlate by r = exp(-spacing / window), or by what was `seen` if that is more, which multiplies the
    variance by (1 + r) / (1 - r).
    """
    r = max(seen, math.exp(-spacing / window) if window > 0 else 0.0)
    return math.sqrt((1 + r) / (1 - r))


def correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return how much a value depends on the one before it, apart from their trend (lag 1); 0 unless it clearly does.

    Weights wander: what one step moves, the next ones do not take back at once, and scores stay high or low for a
    while, longer than the window of the average explains. The estimate of a short series is too small by
    (2 + 4 r) / n, which is added (Kendall, "Note on Bias in the Estimation of Autocorrelation", Biometrika 41, 1954).
    """
    n = len(y)
    if n < LEAST_CORRELATED:
        return 0.0
    rest = np.asarray(y) - np.polyval(np.polyfit(x, y, 1), x)
    power = float(rest @ rest)
    is_straight = power <= n * (ROUNDING * np.abs(y).max()) ** 2
    raw = 0.0 if is_straight else float(rest[1:] @ rest[:-1]) / power
    return min((raw + 2 / n) / (1 - 4 / n), MOST_CORRELATED) if raw > 2 / math.sqrt(n) else 0.0


def theil_sen(
    x: Sequence[float], y: Sequence[float], confidence: float, breaks: Sequence[float] = (), widening: float = 1.0
) -> Trend:
    """Return the median slope of all pairs and Sen's interval by ranks; `x` rises strictly and has two or more points.

    Pairs on both sides of one of the `breaks` do not count: after that place in `x` the level may be another. The
    bounds are infinite where the pairs are too few for the confidence; `widening` moves them further apart.

    Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968. Ties in `y` are not taken
    off the variance, which makes the interval a little wider.
    """
    cuts = np.searchsorted(x, breaks, side="right")
    sides = zip(_split(x, cuts), _split(y, cuts), strict=True)
    parts = [(_thin(across, len(x)), _thin(along, len(x))) for across, along in sides]
    slopes = np.sort(np.concatenate([_slopes(across, along) for across, along in parts]))
    pairs, window = len(slopes), x[-1] - x[0]
    variance = sum(n * (n - 1) * (2 * n + 5) for n in (len(at) for at, _ in parts)) / 18
    spread = widening * quantile(confidence) * math.sqrt(variance)
    low = math.floor((pairs - spread) / 2) - 1
    if low < 0:
        return Trend(float(np.median(slopes)) if pairs else 0.0, -math.inf, math.inf, confidence, window)
    middle = (slopes[(pairs - 1) // 2] + slopes[pairs // 2]) / 2
    return Trend(float(middle), float(slopes[low]), float(slopes[pairs - 1 - low]), confidence, window)


def noise_sd(values: Sequence[float]) -> float:
    """Return the robust standard deviation of a value about its trend, from successive differences; 0 for under 4."""
    if len(values) < 4:
        return 0.0
    steps = [new - old for old, new in pairwise(values)]
    middle = median(steps)
    return MAD_TO_SD * median(abs(step - middle) for step in steps) / math.sqrt(2)


def clearly_lower(new: Sequence[float], old: Sequence[float], confidence: float) -> bool | None:
    """Tell whether errors have fallen, paired by crop (Student's t, two-sided); None without crops that pair."""
    from scipy.special import stdtrit  # takes long to import

    falls = np.subtract(old, new) if len(new) == len(old) else np.array([])
    falls = falls[np.isfinite(falls)]
    if len(falls) < 3:
        return None
    least = stdtrit(len(falls) - 1, (1 + confidence) / 2) * falls.std(ddof=1) / math.sqrt(len(falls))
    return bool(falls.mean() > least)


@cache
def quantile(confidence: float) -> float:
    """Return how many standard errors a two-sided interval reaches to each side."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(n, 1)
    return first, second


def _slopes(across: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second = _pairs(len(across))
    return (along[second] - along[first]) / (across[second] - across[first])


def _split(values: Sequence[float], cuts: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    return np.split(np.asarray(values, dtype=float), cuts)


def _thin(values: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    """Average a part of a series down to its share of `POINTS`, where the whole has more."""
    if total <= POINTS or not len(values):
        return values
    return np.array([part.mean() for part in np.array_split(values, math.ceil(POINTS * len(values) / total))])
