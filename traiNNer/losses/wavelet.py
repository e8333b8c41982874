"""A loss between the bands of a wavelet transform."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.registry import LOSSES

Factor = Annotated[float, Field(ge=0)]


@LOSSES.register(separable=True)
class WaveletLoss(nn.Module):
    """Difference of the detail bands of a Haar transform, finest first: sharpness at every scale counts alike.

    The transform is orthonormal. A level has horizontal, vertical and diagonal detail, whose differences are averaged;
    the levels are averaged too. Sides are continued by their edge to a multiple of two at each level.

    Args:
        levels: Number of scales, each half the one before.
        approximation_weight: Factor of the difference of what is left at the coarsest scale; 0 leaves it free.
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(
        self,
        levels: Annotated[int, Field(ge=1, le=6)] = 3,
        approximation_weight: Factor = 0.0,
        criterion: Criterion = "l1",
    ) -> None:
        super().__init__()
        self.levels = levels
        self.approximation_weight = approximation_weight
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are smaller than one element of the coarsest scale.
        """
        if min(output.shape[-2:]) < 2**self.levels:
            raise ValueError(f"WaveletLoss with levels {self.levels} needs images of at least {2**self.levels} pixels")
        found, wanted = frames(output), frames(target)
        loss = torch.zeros((), device=output.device)
        for _ in range(self.levels):
            (found, details), (wanted, goal) = haar(found), haar(wanted)
            loss = loss + self._distance(details, goal) / self.levels
        if self.approximation_weight:
            # Back in gray levels: the transform doubles the mean at each level.
            loss = loss + self.approximation_weight * self._distance(found / 2**self.levels, wanted / 2**self.levels)
        return loss


def haar(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return one level of the transform: the half-size approximation, B, C, h, w, and three details, B, 3, C, h, w."""
    height, width = images.shape[-2:]
    images = F.pad(images, [0, width % 2, 0, height % 2], mode="replicate")
    low, high = images[..., ::2] + images[..., 1::2], images[..., ::2] - images[..., 1::2]
    details = (high[..., ::2, :] + high[..., 1::2, :], low[..., ::2, :] - low[..., 1::2, :])
    diagonal = high[..., ::2, :] - high[..., 1::2, :]
    return (low[..., ::2, :] + low[..., 1::2, :]) / 2, torch.stack([*details, diagonal], 1) / 2
