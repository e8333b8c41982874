"""Lines of drawings, made thicker as old film and poor scans show them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from traiNNer.degradations import opencv_filters
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Span, column, require_span
from traiNNer.registry import DEGRADATIONS

Dilate = Callable[[Tensor, int], Tensor]
GAIN = 4.0  # a line of a quarter of the full contrast is thickened in full


@DEGRADATIONS.register()
class ThickLines(Degradation):
    """Thicken dark lines; everything else stays. For drawings.

    A line is what a closing fills (its black top-hat); there, pixels take the darkest color around them.

    Args:
        pixels: least and most pixels by which a line grows on either side.
        strength: least and most share of the change.
    """

    def __init__(self, pixels: tuple[int, int] = (1, 2), strength: Span = (0.3, 0.8)) -> None:
        require_span(pixels, "pixels", 1)
        require_span(strength, "strength")
        self.pixels, self.strength = pixels, strength

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images with thicker lines, B, C, H, W."""
        return self._thickened(images, draws, dilated)

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the same of a single image by OpenCV."""
        return self._thickened(images, draws, opencv_filters.dilated)

    def _thickened(self, images: Tensor, draws: Draws, dilate: Dilate) -> Tensor:
        pixels = draws.integer("pixels", *self.pixels)
        strength = column(draws.uniform("strength", *self.strength), images)
        result = images
        for radius in np.unique(pixels):
            here = torch.from_numpy(np.flatnonzero(pixels == radius)).to(images.device)
            chosen = images[here]
            gray = chosen.mean(dim=1, keepdim=True)
            hat = -dilate(-dilate(gray, 2 * radius), 2 * radius) - gray
            share = dilate((hat * GAIN).clamp(0, 1), radius) * strength[here]
            result = result.index_copy(0, here, chosen + share * (-dilate(-chosen, radius) - chosen))
        return result


def dilated(images: Tensor, radius: int) -> Tensor:
    """Return the largest value within a square of `radius` pixels around each pixel of B, C, H, W."""
    return F.max_pool2d(images, 2 * int(radius) + 1, stride=1, padding=int(radius))
