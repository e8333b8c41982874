"""Sharpening with an unsharp mask, as cameras and viewers do it."""

import numpy as np
from torch import Tensor

from traiNNer.degradations import opencv_filters
from traiNNer.degradations.blur import LineBlur, blurred, gaussian_lines
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Span, column, require_span
from traiNNer.registry import DEGRADATIONS


@DEGRADATIONS.register()
class Usm(Degradation):
    """Sharpen with an unsharp mask where there is detail; smooth areas stay. With `target: true` the ground truth.

    Args:
        radius: least and most radius of the Gaussian in pixels.
        amount: least and most share of the detail that is added.
        threshold: contrast, in steps of 255, below which nothing is sharpened.
    """

    def __init__(self, radius: Span = (25.0, 25.0), amount: Span = (0.5, 0.5), threshold: float = 10.0) -> None:
        require_span(radius, "radius", 0.5)
        require_span(amount, "amount")
        self.radius, self.amount, self.threshold = radius, amount, threshold

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the sharpened images, B, C, H, W."""
        return self._sharpened(images, draws, blurred)

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the same of a single image by OpenCV."""
        return self._sharpened(images, draws, opencv_filters.blurred)

    def _sharpened(self, images: Tensor, draws: Draws, blur: LineBlur) -> Tensor:
        radius = np.maximum(np.rint(draws.uniform("radius", *self.radius)).astype(np.int64), 1)
        amount = column(draws.uniform("amount", *self.amount), images)
        # The width that OpenCV gives a Gaussian of 2 * radius + 1 pixels.
        lines = gaussian_lines(0.3 * (radius - 1) + 0.8, radius)
        detail = images - blur(images, lines)
        mask = blur(((detail * 255).abs() > self.threshold).to(images.dtype), lines)
        sharp = (images + amount * detail).clamp(0, 1)
        return images + mask * (sharp - images)
