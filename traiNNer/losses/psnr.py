"""Training directly for peak signal-to-noise ratio."""

import math

import torch
from torch import Tensor, nn

from traiNNer.losses.distances import frames
from traiNNer.registry import LOSSES
from traiNNer.utils.color import RGB_TO_Y

LEAST_ERROR = 1e-8
"""Mean squared error, of images in [0, 1], at which the loss levels off: 80 dB."""


@LOSSES.register(separable=True)
class PSNRLoss(nn.Module):
    """80 dB minus the PSNR of each image, so it is positive and zero for equal images.

    Its gradient is that of the negative PSNR: the closer an image is already, the more a remaining error counts.
    Values are those of a few tens of dB, hundreds of times those of `L1Loss`: mind `loss_weight` beside other losses.

    Args:
        to_y: Compare the luma of ITU-R BT.601 in studio range alone, as the scores of papers do.
    """

    def __init__(self, to_y: bool = False) -> None:
        super().__init__()
        self.to_y = to_y

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar in dB, of two B, [T,] 3, H, W images in [0, 1]."""
        difference = frames(output) - frames(target)
        if self.to_y:
            weights = RGB_TO_Y.tolist()
            red, green, blue = difference.unbind(1)
            difference = (weights[0] * red + weights[1] * green + weights[2] * blue).unsqueeze(1)
        error = difference.square().mean((1, 2, 3))
        return 10 / math.log(10) * torch.log1p(error / LEAST_ERROR).mean()
