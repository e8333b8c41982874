"""What was done to a folder of images: the span of each quantity over the images that show it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from traiNNer.estimate.picture import Picture, Quantity

LOW, HIGH = 0.05, 0.95
LEAST_SHARE = 0.05
"""Share of the images from which something belongs into a recipe: a few are found where nothing was done."""
USUAL_ERROR: Mapping[Quantity, float] = {"enlarged": 0.02, "blur": 0.12, "noise": 0.12, "quality": 0.08}
"""How far most single estimates are from the truth (docs/estimate.md). No span is narrower than that."""
LIMITS: Mapping[Quantity, tuple[float, float]] = {
    "enlarged": (1.0, np.inf),
    "blur": (0.05, np.inf),
    "noise": (0.0, np.inf),
    "quality": (1.0, 100.0),
}


@dataclass(frozen=True)
class Span:
    """One quantity over a folder.

    Args:
        low: the end of the interval below, which holds nine tenths of the images.
        middle: the median.
        high: its end above.
        images: how many show it.
        seen: in how many it could be seen.
    """

    low: float
    middle: float
    high: float
    images: int
    seen: int

    @property
    def share(self) -> float:
        """Return how many of the images have it, 0 to 1."""
        return self.images / self.seen


def span(pictures: Sequence[Picture], quantity: Quantity) -> Span | None:
    """Return the span of a quantity; None where fewer than 5 % of the images have it."""
    found = [value for picture in pictures if (value := picture.value(quantity)) is not None]
    seen = sum(quantity not in picture.hidden for picture in pictures)
    seen = max(seen, len(found))
    if not found or len(found) < LEAST_SHARE * seen:
        return None
    low, middle, high = (float(np.quantile(found, place)) for place in (LOW, 0.5, HIGH))
    is_exact = quantity == "quality" and all(picture.is_exact for picture in pictures if picture.quality is not None)
    error = 0.0 if is_exact else USUAL_ERROR[quantity]
    least, most = LIMITS[quantity]
    low, high = max(least, min(low, middle * (1 - error))), min(most, max(high, middle * (1 + error)))
    return Span(low, middle, high, len(found), seen)


def subsamplings(pictures: Sequence[Picture]) -> Counter[str]:
    """Return how many images store color in which way, the most frequent first."""
    return Counter(dict(Counter(picture.subsampling for picture in pictures if picture.subsampling).most_common()))


def gray_share(pictures: Sequence[Picture]) -> float:
    """Return in how many of the noisy images the noise is gray.

    Of noise before a JPEG only what is left in luma is measured: as gray noise it comes out as strong again.
    """
    noisy = [picture.is_gray is not False for picture in pictures if picture.noise is not None]
    return sum(noisy) / len(noisy) if noisy else 0.0
