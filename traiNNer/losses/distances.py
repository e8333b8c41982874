"""What the losses share: how two maps are compared, and clips taken apart into images."""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Criterion = Literal["l1", "l2", "charbonnier"]
Distance = Callable[[Tensor, Tensor], Tensor]
ROUND_BELOW = 1e-6
"""Difference below which `charbonnier` is quadratic, where it is one criterion among others."""


def charbonnier(difference: Tensor, eps: float = ROUND_BELOW) -> Tensor:
    """Return sqrt(d² + eps²) - eps of every element, without the cancellation that small differences would suffer."""
    squared = difference.square()
    return squared / ((squared + eps**2).sqrt() + eps)


def rounded(difference: Tensor, criterion: Criterion) -> Tensor:
    """Return |d|, d² or sqrt(d² + 1e-12) - 1e-6 of every element."""
    if criterion == "l1":
        return difference.abs()
    return difference.square() if criterion == "l2" else charbonnier(difference)


def distance(criterion: Criterion) -> Distance:
    """Return the function that compares two maps of one shape: the mean over all elements, a scalar."""
    if criterion == "l1":
        return F.l1_loss
    if criterion == "l2":
        return F.mse_loss
    return lambda found, wanted: charbonnier(found - wanted).mean()


def frames(images: Tensor) -> Tensor:
    """Return B, [T,] C, H, W images as float32 B * T, C, H, W: every frame of a clip is an image by itself."""
    return images.float().flatten(0, -4)
