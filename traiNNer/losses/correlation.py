"""Losses that compare directions: of colors, and of whole channels."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import frames
from traiNNer.registry import LOSSES

DARK = 1e-2
"""Gray level that is added to every color as a fourth coordinate, so that black has a direction."""
FLAT = 1e-6
"""Variance that is added to every channel, so that a flat one correlates with a flat one."""


@LOSSES.register(separable=True)
class CosimLoss(nn.Module):
    """One minus the cosine of the angle between the colors of output and ground truth, times `cosim_lambda`.

    Colors are compared whatever their brightness. Those of dark pixels count less the darker they are, and values
    outside [0, 1] have a gradient like all others.

    Args:
        cosim_lambda: Factor.
    """

    def __init__(self, cosim_lambda: Annotated[float, Field(gt=0)] = 5.0) -> None:
        super().__init__()
        self.cosim_lambda = cosim_lambda

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        difference = _direction(frames(output)) - _direction(frames(target))
        # Half the squared chord is one minus the cosine, without the cancellation for nearly equal colors.
        return self.cosim_lambda * 0.5 * difference.square().sum(1).mean()


def _direction(images: Tensor) -> Tensor:
    """Return unit vectors of four coordinates, B, 4, H, W."""
    extended = torch.cat([images, torch.full_like(images[:, :1], DARK)], 1)
    return extended / extended.square().sum(1, keepdim=True).sqrt()


@LOSSES.register(separable=True)
class NCCLoss(nn.Module):
    """One minus the normalized cross-correlation of each channel: 0 for equal images, 2 for negatives.

    It does not see the brightness and the contrast of a whole channel; add it to a loss that does.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar in [0, 2], of two B, [T,] 3, H, W images in [0, 1]."""
        x, y = (image - image.mean((-2, -1), keepdim=True) for image in (frames(output), frames(target)))
        both = (x * y).mean((-2, -1)) + FLAT
        each = (x.square().mean((-2, -1)) + FLAT) * (y.square().mean((-2, -1)) + FLAT)
        return 1 - (both / each.sqrt()).mean()
