"""Losses that compare local structure instead of single pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.losses.distances import frames
from traiNNer.losses.similarity import SIGMA, WINDOW, gaussian, similarity_maps
from traiNNer.registry import LOSSES

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LOG_BELOW = 0.05


@LOSSES.register(separable=True)
class SSIMLoss(nn.Module):
    """One minus structural similarity.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity",
    2004: 11x11 Gaussian window (sigma 1.5, valid positions only), in each channel of RGB; the loss is the mean.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", gaussian(WINDOW, SIGMA), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar in [0, 2], of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are smaller than the window.
        """
        refuse_smaller("SSIMLoss", min(output.shape[-2:]))
        return 1 - similarity_maps(frames(output), frames(target), self.window)[0].mean()


@LOSSES.register(separable=True)
class MSSIMLoss(nn.Module):
    """One minus multi-scale structural similarity.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003: five scales,
    each half the one before, 11x11 Gaussian window (sigma 1.5, valid positions only), the paper's weights. A crop takes
    as many scales as still hold one window (96 px: four, 48 px: three), the weights rescaled to sum to one; with a
    single scale this is one minus SSIM. Every image and channel has its own value; the loss is their mean.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", gaussian(WINDOW, SIGMA), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are smaller than the window.
        """
        x, y = frames(output), frames(target)
        weights = weights_that_fit(min(x.shape[-2:]))
        logarithm = torch.zeros(x.shape[:2], device=x.device)
        for level, weight in enumerate(weights):
            is_last = level == len(weights) - 1
            similarity, contrast = similarity_maps(x, y, self.window)
            mean = (similarity if is_last else contrast).mean((-2, -1))
            logarithm = logarithm + weight * soft_log(mean)
            if not is_last:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return 1 - logarithm.exp().mean()


def refuse_smaller(name: str, side: int) -> None:
    """Raise `ValueError` for images whose shorter side holds no window."""
    if side < WINDOW:
        raise ValueError(f"{name} needs images of at least {WINDOW}x{WINDOW} pixels; these have a side of {side}")


def weights_that_fit(side: int) -> tuple[float, ...]:
    """Return the weights of the scales at which an image whose shorter side is `side` pixels holds a window."""
    refuse_smaller("MSSIMLoss", side)
    count = sum(side >> level >= WINDOW for level in range(len(SCALE_WEIGHTS)))
    total = sum(SCALE_WEIGHTS[:count])
    return tuple(weight / total for weight in SCALE_WEIGHTS[:count])


def soft_log(value: Tensor) -> Tensor:
    """Logarithm that continues as its tangent below `LOG_BELOW`.

    Similarities are near zero or negative early in training, where a power has no finite gradient and a clamp has none
    at all; the tangent keeps the product positive and the direction right.
    """
    tangent = (value - LOG_BELOW) / LOG_BELOW
    return value.clamp(min=LOG_BELOW).log() + tangent.clamp(max=0)
