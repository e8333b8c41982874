"""Losses between images that are scaled down first: colors and coarse structure must fit, fine detail is free."""

import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.registry import LOSSES


@LOSSES.register(separable=True)
class AverageLoss(nn.Module):
    """Difference of the means of blocks of `scale` x `scale` pixels.

    Args:
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, scale: int, criterion: Criterion = "l1") -> None:
        super().__init__()
        self.scale = scale
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        return self._distance(F.avg_pool2d(frames(output), self.scale), F.avg_pool2d(frames(target), self.scale))


@LOSSES.register(separable=True)
class BicubicLoss(nn.Module):
    """Difference of the images scaled down by `scale` with an antialiased bicubic kernel, as LQ is made of GT.

    Args:
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, scale: int, criterion: Criterion = "l1") -> None:
        super().__init__()
        self.scale = scale
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        return self._distance(self._small(output), self._small(target))

    def _small(self, images: Tensor) -> Tensor:
        return F.interpolate(frames(images), scale_factor=1 / self.scale, mode="bicubic", antialias=True)
