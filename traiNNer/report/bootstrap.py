"""How certain a mean over images is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
AT_ONCE = 2_000_000
"""Numbers drawn at once."""


@dataclass(frozen=True)
class Interval:
    """A mean with the bounds of its 95 % interval, over so many images."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of values with a percentile bootstrap interval (Efron, 1979): the same for the same seed.

    Raises:
        ValueError: there is no value.
    """
    if not len(values):
        raise ValueError("There is nothing to take a mean of.")
    data, generator = np.asarray(values, float), np.random.default_rng(seed)
    rows = max(1, AT_ONCE // len(data))
    means = np.concatenate(
        [
            data[generator.integers(len(data), size=(min(rows, RESAMPLES - done), len(data)))].mean(axis=1)
            for done in range(0, RESAMPLES, rows)
        ]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(data.mean()), float(low), float(high), len(data))
