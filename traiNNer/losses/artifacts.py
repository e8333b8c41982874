"""A loss on what looks like an artifact: where the output is restless and the average of the weights is better."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.registry import LOSSES

SIDE = 7


@LOSSES.register(separable=True)
class LDLLoss(nn.Module):
    """Pixel difference, weighted by how likely each pixel is an artifact.

    Liang, Zeng and Zhang, "Details or Artifacts: A Locally Discriminative Learning Approach to Realistic Image
    Super-Resolution", CVPR 2022: the weight is the variance of the error in 7 x 7 pixels times the fifth root of its
    variance in the whole image, and zero where what the EMA of the weights makes is further off than the output. No
    gradient flows through the weight: that of the root is infinite for an image without error.

    Needs `train.ema_decay` above 0. Meant beside a GAN loss.

    Args:
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, criterion: Criterion = "l1") -> None:
        super().__init__()
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor, output_ema: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are smaller than 7 x 7 pixels.
        """
        if min(output.shape[-2:]) < SIDE:
            raise ValueError(f"LDLLoss needs images of at least {SIDE}x{SIDE} pixels")
        found, wanted = frames(output), frames(target)
        weight = artifact_map(found.detach(), wanted, frames(output_ema))
        return self._distance(weight * found, weight * wanted)


def artifact_map(output: Tensor, target: Tensor, averaged: Tensor) -> Tensor:
    """Return the weight of every pixel, B, 1, H, W."""
    error = (target - output).abs().sum(1, keepdim=True)
    other = (target - averaged).abs().sum(1, keepdim=True)
    whole = error.var((-3, -2, -1), keepdim=True).pow(1 / 5)
    margin = SIDE // 2
    # Of the differences to the mean: the variance is small beside the mean, and must not drown in it.
    centered = F.pad(error - error.mean((-2, -1), keepdim=True), [margin] * 4, mode="reflect")
    mean, square = F.avg_pool2d(torch.cat([centered, centered.square()], 1), SIDE, 1).split(1, 1)
    local = (square - mean.square()).clamp(min=0) * (SIDE**2 / (SIDE**2 - 1))
    return torch.where(error < other, 0.0, whole * local)
