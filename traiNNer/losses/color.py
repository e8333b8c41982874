"""A loss on color alone."""

import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.registry import LOSSES

TO_CHROMA = ((-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
"""From RGB in [0, 1] to Cb and Cr of ITU-R BT.601 in studio range, in levels of 255; the offset cancels out."""


@LOSSES.register(separable=True)
class ColorLoss(nn.Module):
    """Difference of the chroma (Cb and Cr of ITU-R BT.601) in blocks of `scale` x `scale` pixels; brightness is free.

    Args:
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, scale: int, criterion: Criterion = "l1") -> None:
        super().__init__()
        self.scale = scale
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1], in shares of 255 levels."""
        return self._distance(self._chroma(output), self._chroma(target))

    def _chroma(self, images: Tensor) -> Tensor:
        blocks = F.avg_pool2d(frames(images), self.scale)
        kernel = blocks.new_tensor(TO_CHROMA).div(255)[:, :, None, None]
        return F.conv2d(blocks, kernel)
