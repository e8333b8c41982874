"""Losses between spectra."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import frames
from traiNNer.registry import LOSSES

REDUX_FACTOR = 50.0


@LOSSES.register(separable=True)
class FFTLoss(nn.Module):
    """Mean absolute difference of the real and the imaginary parts of the spectra of each channel.

    The transform is not normalized, so values grow with the side of the crop (by about the square root of its number
    of pixels, compared with `L1Loss`).
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        found, wanted = (torch.view_as_real(torch.fft.rfft2(frames(images))) for images in (output, target))
        return F.l1_loss(found, wanted)


@LOSSES.register(separable=True)
class FFLoss(nn.Module):
    """Squared difference of spectra in which the frequencies that are furthest off count most; times 50.

    Jiang, Dai, Wu and Loy, "Focal Frequency Loss for Image Reconstruction and Synthesis", ICCV 2021: each frequency is
    weighted by its own distance to the power `alpha`, as a share of the largest of the channel, without gradient
    through the weight. The factor is that of traiNNer-redux, so its weights carry over.

    Args:
        alpha: Power of the weights; 0 weights all frequencies alike.
        patch_factor: Compare `patch_factor` x `patch_factor` equal parts of an image, each with its own spectrum.
        log_matrix: Weight by the logarithm of one plus the distance, which evens the weights out.
    """

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0)] = 1.0,
        patch_factor: Annotated[int, Field(ge=1)] = 1,
        log_matrix: bool = False,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.patch_factor = patch_factor
        self.log_matrix = log_matrix

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the sides are not multiples of `patch_factor`.
        """
        difference = self._patches(frames(output) - frames(target))
        spectrum = torch.view_as_real(torch.fft.fft2(difference, norm="ortho"))
        squared = spectrum.square().sum(-1)
        return REDUX_FACTOR * (self._weights(squared.detach()) * squared).mean()

    def _weights(self, squared: Tensor) -> Tensor:
        weights = squared.pow(self.alpha / 2)
        if self.log_matrix:
            weights = weights.log1p()
        largest = weights.amax((-2, -1), keepdim=True)
        return weights / largest.clamp(min=torch.finfo(torch.float32).tiny)

    def _patches(self, images: Tensor) -> Tensor:
        """Return B, C, parts, parts, h, w."""
        parts = self.patch_factor
        if any(side % parts for side in images.shape[-2:]):
            height, width = images.shape[-2:]
            raise ValueError(f"FFLoss: patch_factor {parts} does not divide images of {width}x{height}")
        tall, wide = (side // parts for side in images.shape[-2:])
        return images.unflatten(-1, (parts, wide)).unflatten(-3, (parts, tall)).transpose(-3, -2)
