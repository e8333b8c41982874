"""How much device memory a micro-batch takes, as a line over its size, and which sizes there are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


def split(batch: int, most: int) -> list[int]:
    """Return the sizes of the balanced micro-batches of at most `most` images that make up a batch: 8 at 6 is 4+4."""
    parts = math.ceil(batch / most)
    size, larger = divmod(batch, parts)
    return [size + 1] * larger + [size] * (parts - larger)


def splits(batch: int, low: int, high: int) -> list[int]:
    """Return the different largest micro-batches within the bounds, ascending; `high` where there is none."""
    found = {split(batch, most)[0] for most in range(1, min(batch, high) + 1)}
    return sorted(size for size in found if size >= low) or [min(batch, high)]


def halves(batch: int, low: int, high: int) -> list[int]:
    """Return B, B/2, B/4, ... (rounded up) within the bounds, ascending; `high` where there is none."""
    found = {math.ceil(batch / 2**times) for times in range(batch.bit_length() + 1)}
    return sorted(size for size in found if low <= size <= high) or [min(batch, high)]


@dataclass(frozen=True)
class Line:
    """Peak in bytes over the micro-batch: what is always there, and what one more image takes."""

    fixed: float
    per_image: float

    def at(self, size: int) -> float:
        """Return the peak expected at a size."""
        return self.fixed + self.per_image * size


def fit(peaks: Mapping[int, Sequence[float]]) -> Line:
    """Return the least-squares line through the largest peak of each size, raised until no peak lies above it.

    Both coefficients are at least 0, since neither weights nor images free memory. With a single size (or a slope that
    is not positive) it is the line through the origin: no other line that is possible lies higher above that size.
    """
    sizes = np.array(list(peaks), dtype=float)
    highest = np.array([max(kept) for kept in peaks.values()], dtype=float)
    centerd = sizes - sizes.mean()
    slope = float(centerd @ highest / (centerd @ centerd)) if len(peaks) > 1 else 0.0
    fixed = float(np.max(highest - slope * sizes))
    if slope <= 0 or fixed < 0:
        return Line(0.0, float(np.max(highest / sizes)))
    return Line(fixed, slope)


def reach(sizes: Sequence[int]) -> float:
    """Return the largest size that observed ones allow a statement about: twice the largest, and twice their span."""
    span = max(sizes) - min(sizes)
    return min(2 * max(sizes), max(sizes) + 2 * span) if span else 2 * max(sizes)
