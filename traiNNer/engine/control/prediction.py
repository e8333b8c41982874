"""The score that a run is going to end with, from its probes: a power law, and what annealing gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from traiNNer.engine.control.events import ProbeFinished

LOG_TO_DB = 20 / math.log(10)
ANNEALING = 0.2
"""What a linear decay of the rate to zero gives beyond the averaged weights, as a share of what these are better than
the live ones."""
DOUBT = 0.1
"""Standard deviation of that share from run to run."""
INFLATION = 5.2
"""Factor on the standard deviation with which nine in ten simulated runs end within the interval: the fit takes the
errors of neighboring probes as half independent. `benchmarks/prediction.py` finds it."""
QUARTER = 0.25
"""Share of the run that has to be over before anything is predicted."""
RECENT = 0.2
"""Probes from before this share of what is over do not count: no curve is one power law from its first iterations."""
CORRELATED = 10
"""So many neighboring probes count as one independent value."""
KEPT, FEWEST, GRID = 400, 8, 128
POWERS = np.geomspace(0.05, 2.0, 24)
WITHIN = 1.645
"""Standard deviations to each side that hold 90 %."""
LEAST_SD = 0.01
Schedule = Callable[[int], float]


class Prediction(NamedTuple):
    """A score in dB between the bounds of its 90 % interval."""

    value: float
    low: float
    high: float


def share_to_fall(schedule: Schedule, iteration: int, total_iter: int) -> float:
    """Return which share of its highest value after `iteration` iterations the rate has lost at the end, 0 to 1."""
    first, last = min(max(0, iteration - 1), total_iter - 1), total_iter - 1
    ahead = [schedule(first + (last - first) * step // GRID) for step in range(GRID + 1)]
    return max(0.0, 1 - ahead[-1] / max(ahead)) if max(ahead) > 0 else 0.0


class Forecast:
    """Predicts the last validation's PSNR from the probes so far.

    The probe is a few crops, the score is of whole images: what the probe gains from a validation on is added to that
    validation's score. Every probe counts as what the average would be if the rate had fallen already.

    Args:
        schedule: factor on the learning rate by iteration (from 0).
        total_iter: length of the run.
        warmup_iter: iterations whose probes are left out.
    """

    def __init__(self, schedule: Schedule, total_iter: int, warmup_iter: int = 0) -> None:
        self.schedule, self.total_iter, self.warmup_iter = schedule, total_iter, warmup_iter
        self.probes: list[list[float]] = []
        """Iteration, quality of the average, what annealing would add to it; both in dB."""

    def expect_end(self, total_iter: int) -> None:
        """Predict for another iteration from now on."""
        self.total_iter = total_iter

    def add(self, event: ProbeFinished) -> dict[str, float]:
        """Note a probe; return its means in dB (higher is better) and what is still to fall, for the record."""
        live, average = (-LOG_TO_DB * fmean(errors) for errors in (event.live, event.average))
        to_fall = share_to_fall(self.schedule, event.iteration, self.total_iter)
        if event.iteration > self.warmup_iter and math.isfinite(live + average):
            self.probes.append([event.iteration, average, ANNEALING * to_fall * max(average - live, 0.0)])
        if len(self.probes) > KEPT:
            del self.probes[:-1:2]
        return {"live": live, "average": average, "to_fall": to_fall}

    def predict(self, iteration: int, score: float) -> Prediction | None:
        """Return the score at the end, given that of a validation now; None while it is too early to tell."""
        if iteration < QUARTER * self.total_iter or len(self.probes) < FEWEST or not math.isfinite(score):
            return None
        recent = [probe for probe in self.probes if probe[0] >= RECENT * iteration] or self.probes
        at, average, annealing = np.array(recent).T
        gain, sd = extrapolate(at, average + annealing, iteration, self.total_iter)
        to_come = median(annealing[-10:].tolist())
        sd = INFLATION * math.hypot(sd, DOUBT / ANNEALING * to_come, LEAST_SD)
        value = score + gain + to_come
        return Prediction(value, value - WITHIN * sd, value + WITHIN * sd)

    def state_dict(self) -> dict[str, Any]:
        """Return the probes."""
        return {"probes": self.probes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.probes = [list(probe) for probe in state["probes"]]


def extrapolate(at: NDArray[np.float64], values: NDArray[np.float64], now: float, end: float) -> tuple[float, float]:
    """Return how much `values` rise from `now` to `end` on power laws a - b t^-c, and its standard deviation.

    Every power of a grid is fitted by least squares and counts by its likelihood.
    """
    fits = [_fit(power, at, values, now, end) for power in POWERS]
    gains, variances, squares = np.array(fits).T
    weights = (squares / squares.min() if squares.min() > 0 else 1.0 + squares) ** (-len(at) / 2 / CORRELATED)
    gain = float(np.average(gains, weights=weights))
    return gain, math.sqrt(float(np.average(variances + (gains - gain) ** 2, weights=weights)))


def _fit(power: float, at: NDArray[np.float64], values: NDArray[np.float64], now: float, end: float) -> Sequence[float]:
    """Return the rise, its variance and the sum of squares that one power leaves."""
    x = -((at / end) ** -power)
    x, y = x - x.mean(), values - values.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread
    squares = float(((y - slope * x) ** 2).sum())
    step = (now / end) ** -power - 1.0
    return slope * step, CORRELATED * squares / (len(at) - 2) / spread * step**2, squares
