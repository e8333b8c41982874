"""Where gradient norms lie and how wide they spread, from few of them, in natural logarithms.

Norms of healthy training are close to lognormal. Median and median absolute deviation (MAD) say the same whether a few
of the norms are spikes or not, and however large these are.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

FIRST_SKIP, FIRST, REGIME = 10, 20, 30
"""Norms needed before a step is skipped, before the limit moves, and to recognize a new regime."""
WIDTHS = 2.5
MAD_TO_SD = 1.4826
DECAY = 0.95
WIDTH_DECAY = 0.99
"""Weight of the past in the average over evaluations."""
SURE = 2.0
"""Standard errors by which the wanted limit has to be away before the limit moves."""
NEW_REGIME = math.log(2)
SURE_OF_REGIME = 5.0
SKIP = math.log(20)
"""A step this far above the median is not made."""


def center_and_width(logs: Sequence[float]) -> tuple[float, float]:
    """Return the median of log norms, and 2.5 robust standard deviations: the wanted limit is their sum."""
    center = median(logs)
    return center, WIDTHS * MAD_TO_SD * median([abs(value - center) for value in logs])


def average(past: float, value: float, count: int, decay: float) -> float:
    """Return the exponential average after its `count`-th value; the first ones count alike."""
    return past + (value - past) * max(1 - decay, 1 / count)


def standard_error(width: float, center_norms: float, width_norms: float = math.inf) -> float:
    """Return that of a wanted log limit whose median and width rest on so many independent lognormal norms.

    The asymptotic variances of the median and of 1.4826 MAD are 1.571 and 1.361 sd^2 / n; an infinite number leaves the
    error of the median alone.
    """
    sd = width / WIDTHS
    return sd * math.sqrt(1.571 / center_norms + WIDTHS**2 * 1.361 / width_norms)


def is_apart(one: float, other: float, error: float) -> bool:
    """Whether two log norms are more than a factor of 2 apart, and that is not by chance."""
    return abs(one - other) > max(NEW_REGIME, SURE_OF_REGIME * error)


def proposal(wanted: float, low: float, high: float) -> str:
    """Return the bound that a wanted limit runs into, and one that gives it room."""
    name, bound, better = ("max_threshold", high, wanted * 4) if wanted > high else ("min_threshold", low, wanted / 4)
    return (
        f"{name} = {bound:g} keeps the limit from {wanted:.2g}, which the gradient norms ask for. "
        f"Proposal: threshold_mode: relative, or {name}: {better:.1g}"
    )


class NormStatistics:
    """Median and width of the log norms of a run, as averages over evaluations, and the norms they come from.

    Args:
        size: norms remembered.
        every: iterations between evaluations.
    """

    kept = ("history", "latest", "center", "width", "age", "evaluations")

    def __init__(self, size: int, every: int) -> None:
        self.size, self.every = size, every
        self.history: list[float] = []
        """What median and width are taken from."""
        self.latest: list[float] = []
        """The very last norms as they were."""
        self.center = self.width = math.nan
        self.age = self.evaluations = 0
        """Evaluations since the regime began, and in all."""

    def state(self) -> dict[str, Any]:
        """Return the memory as plain values."""
        return {name: getattr(self, name) for name in self.kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        for name in self.kept:
            setattr(self, name, state[name])

    def record(self, norm: float, limit: float) -> None:
        """Remember a log norm: at most the log limit, or the wanted one where bounds hold that down."""
        self.latest.append(norm)
        del self.latest[:-REGIME]
        if self.evaluations:
            self.history.append(min(norm, max(limit, self.wanted())))
            del self.history[: -self.size]

    def wanted(self) -> float:
        """Return the log limit that the norms ask for."""
        return self.center + self.width

    def middle(self) -> float | None:
        """Return the median of the log norms, None while there are too few."""
        if len(self.latest) < FIRST_SKIP:
            return None
        return self.center if self.evaluations else median(self.latest)

    def error(self) -> float:
        """Return the standard error of the wanted log limit."""
        return standard_error(self.width, self._behind(self.age, DECAY), self._behind(self.evaluations, WIDTH_DECAY))

    def update(self) -> bool:
        """Bring the averages up to date; return whether a new regime was found."""
        self.evaluations += 1
        self.age += 1
        if self.evaluations == 1:
            self.width = center_and_width(self.latest[-FIRST:])[1]
            self._start_again()
            return False
        if self._has_shifted():
            self._start_again()
            return True
        center, width = center_and_width(self.history)
        if self._has_widened(center + width):
            self.center, self.width, self.age = center, width, 1
            return True
        self.center = average(self.center, center, self.age, DECAY)
        self.width = average(self.width, width, self.evaluations, WIDTH_DECAY)
        return False

    def _has_shifted(self) -> bool:
        """Whether the last norms lie elsewhere; they show it much sooner than the history."""
        if len(self.latest) < REGIME:
            return False
        return is_apart(median(self.latest), self.center, standard_error(self.width, REGIME))

    def _has_widened(self, wanted: float) -> bool:
        """Whether a full history asks for quite another limit although its median is where it was."""
        error = standard_error(self.width, self.size, self.size)
        return len(self.history) == self.size and is_apart(wanted, self.wanted(), error)

    def _start_again(self) -> None:
        """Forget all norms but the last ones; keep their width, for which those are too few."""
        newest = self.latest[-FIRST:]
        self.history, self.age = newest[-self.size :], 1
        self.center = median(newest)

    def _behind(self, count: int, decay: float) -> float:
        """Return about how many norms an average over evaluations rests on after its `count`-th value."""
        return FIRST + self.every * min(count - 1, 2 / (1 - decay))
