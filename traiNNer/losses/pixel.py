"""Losses that compare pixel by pixel."""

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import charbonnier
from traiNNer.registry import LOSSES
from traiNNer.utils.color import RGB_TO_Y


@LOSSES.register(pixel=True, separable=True)
class L1Loss(nn.Module):
    """Mean absolute difference."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        return F.l1_loss(output.float(), target.float())


@LOSSES.register(pixel=True, separable=True)
class MSELoss(nn.Module):
    """Mean squared difference; what PSNR measures.

    Args:
        luma: Compare the luma of ITU-R BT.601 in studio range alone, as the scores of papers do.
    """

    def __init__(self, luma: bool = False) -> None:
        super().__init__()
        self.luma = luma

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        if not self.luma:
            return F.mse_loss(output.float(), target.float())
        red, green, blue = (output.float() - target.float()).unbind(-3)
        weights = RGB_TO_Y.tolist()
        return (weights[0] * red + weights[1] * green + weights[2] * blue).square().mean()


@LOSSES.register(pixel=True, separable=True)
class CharbonnierLoss(nn.Module):
    """L1 with a round bottom: the mean of sqrt(d² + eps²) - eps, which is zero for equal images.

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994;
    the default `eps` is that of Lai et al., "Fast and Accurate Image Super-Resolution with Deep Laplacian Pyramid
    Networks", 2018. Code that writes sqrt(d² + eps) means by its `eps` the square of this one.

    Args:
        eps: Difference, in gray levels of [0, 1], below which the loss turns from absolute to quadratic.
    """

    def __init__(self, eps: Annotated[float, Field(ge=1e-12)] = 1e-3) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        return charbonnier(output.float() - target.float(), self.eps).mean()


@LOSSES.register(pixel=True, separable=True)
class HuberLoss(nn.Module):
    """Quadratic for small differences, absolute for large ones: d² / (2 delta) below `delta`, |d| - delta / 2 above.

    Huber, "Robust Estimation of a Location Parameter", 1964, divided by `delta` so that large differences count as in
    `L1Loss` whatever `delta` is (PyTorch's `smooth_l1_loss`).

    Args:
        delta: Difference, in gray levels of [0, 1], at which the loss turns from quadratic to absolute.
    """

    def __init__(self, delta: Annotated[float, Field(gt=0)] = 0.01) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        return F.smooth_l1_loss(output.float(), target.float(), beta=self.delta)
