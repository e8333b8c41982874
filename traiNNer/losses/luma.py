"""A loss on brightness alone."""

from torch import Tensor, nn

from traiNNer.losses.color_spaces import lightness
from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.registry import LOSSES


@LOSSES.register(separable=True)
class LumaLoss(nn.Module):
    """Difference of the lightness that people see, CIE L* as a share of white; colors are free.

    Args:
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, criterion: Criterion = "l1") -> None:
        super().__init__()
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        return self._distance(lightness(frames(output)) / 100, lightness(frames(target)) / 100)
