"""The score that a run is going to end with, from its probes: a power law, and what annealing gives."""

import math
from collections.abc import Callable, Mapping
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from traiNNer.engine.control.events import ProbeFinished

LOG_TO_DB = 20 / math.log(10)
ANNEALING = 0.2
"""What a linear decay of the rate to zero gives beyond the averaged weights, as a share of what these are better than
the live ones."""
ANNEALING_ERROR = 0.5
"""Standard deviation of that, as a share of it."""
ERROR_PER_FOLD = 1.05
"""Standard deviation of the power law's gain, in dB for every factor of e by which training is still to grow, on real
curves (`benchmarks/prediction.py`): 0.97 with many probes, 1.15 with few. It does not follow the size of the gain."""
LEAST_SD = 0.03
"""Standard deviation in dB that remains at the end: the noise of one validation."""
QUARTER = 0.25
"""Share of the run that has to be over before anything is predicted."""
RECENT = 0.4
"""Probes from before this share of what is over do not count: no curve is one power law from its first iterations."""
POWER = 0.5
"""Of the law: one that is fitted, averaged over a grid by likelihood, missed the stored curves by just as much."""
KEPT, FEWEST, GRID = 400, 3, 128
WITHIN = 1.645
"""Standard deviations to each side that hold 90 %."""
Schedule = Callable[[int], float]


class Prediction(NamedTuple):
    """A score in dB between the bounds of its 90 % interval."""

    value: float
    low: float
    high: float


class Parts(NamedTuple):
    """What is still to come: the power law's gain and the annealing, in dB; log of how many times more is trained."""

    gain: float
    annealing: float
    folds: float

    def sd(self, per_fold: float = ERROR_PER_FOLD) -> float:
        """Return the standard deviation of the sum."""
        return math.hypot(ANNEALING_ERROR * self.annealing, per_fold * self.folds, LEAST_SD)


def share_to_fall(schedule: Schedule, iteration: int, total_iter: int) -> float:
    """Return which share of its highest value after `iteration` iterations the rate has lost at the end, 0 to 1."""
    first, last = min(max(0, iteration - 1), total_iter - 1), total_iter - 1
    ahead = [schedule(first + (last - first) * step // GRID) for step in range(GRID + 1)]
    return max(0.0, 1 - ahead[-1] / max(ahead)) if max(ahead) > 0 else 0.0


def trained(schedule: Schedule, iterations: NDArray[np.float64], total_iter: int) -> NDArray[np.float64]:
    """Return how much was trained after each of the iterations, as a share of the run: the sum of the rates so far.

    A step trains as much as its rate is high: a power law of iterations expects from the end of a decay what a rate
    near zero cannot give (Tissue et al., "Scaling Law with Learning Rate Annealing", 2024).
    """
    places = np.linspace(0, total_iter, 4 * GRID + 1)
    rates = [schedule(min(int(place), total_iter - 1)) for place in places]
    sums = np.cumsum([0.0, *(np.add(rates[1:], rates[:-1]) / 2)])
    return np.maximum(np.interp(iterations, places, sums / max(sums[-1], 1e-12)), 1e-6)


class Forecast:
    """Predicts the last validation's PSNR from the probes so far.

    The probe is a few crops, the score is of whole images: what the probe gains from a validation on is added to that
    validation's score. Every probe counts as what the average would be if the rate had fallen already: the gap between
    live and averaged weights shrinks with the rate, so in a decay the average contains the rest of the annealing.

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
        parts = self.parts(iteration)
        value, sd = score + parts.gain + parts.annealing, parts.sd()
        return Prediction(value, value - WITHIN * sd, value + WITHIN * sd)

    def parts(self, iteration: int) -> Parts:
        """Return what the rest of the run adds to a score."""
        recent = sum(probe[0] >= RECENT * iteration for probe in self.probes)
        at, average, annealing = np.array(self.probes[-max(recent, FEWEST) :]).T
        *places, now = trained(self.schedule, np.array([*at, iteration]), self.total_iter)
        gain = extrapolate(np.array(places), average + annealing, float(now))
        return Parts(gain, median(annealing[-10:].tolist()), -math.log(now))

    def state_dict(self) -> dict[str, Any]:
        """Return the probes."""
        return {"probes": self.probes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.probes = [list(probe) for probe in state["probes"]]


def extrapolate(at: NDArray[np.float64], values: NDArray[np.float64], now: float) -> float:
    """Return how much `values` rise from `now` to 1 on the power law a - b at^-c that fits best (least squares)."""
    x, y = -(at**-POWER), values - values.mean()
    x -= x.mean()
    slope = float(x @ y) / max(float(x @ x), 1e-12)
    return slope * (now**-POWER - 1.0)
