"""Losses on edges: where brightness changes, and how unevenly."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.registry import LOSSES

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
GRAY = (0.2989, 0.5870, 0.1140)


@LOSSES.register(separable=True)
class SobelEdgeLoss(nn.Module):
    """Difference of the horizontal and of the vertical Sobel derivatives of every channel.

    Both derivatives are compared with their signs: an edge has to run the right way. Their magnitude alone would be
    the same for a bright and a dark line, and has no gradient where an image is flat.

    Args:
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, criterion: Criterion = "l1") -> None:
        super().__init__()
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        return self._distance(derivatives(frames(output)), derivatives(frames(target)))


@LOSSES.register(separable=True)
class GradientVarianceLoss(nn.Module):
    """Difference of the variances that the Sobel derivatives of the gray image have inside every patch.

    Abrahamyan, Truong, Philips and Deligiannis, "Gradient Variance Loss for Structure-Enhanced Image
    Super-Resolution", ICASSP 2022: blurred images have too little of it. Add it to a pixel loss; by itself it does not
    know where an edge belongs.

    Args:
        patch_size: Side of a patch, in pixels; what is left over at the right and at the bottom is not compared.
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
    """

    def __init__(self, patch_size: Annotated[int, Field(ge=2)] = 16, criterion: Criterion = "charbonnier") -> None:
        super().__init__()
        self.patch_size = patch_size
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar: the sum for both derivatives, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are smaller than a patch.
        """
        if min(output.shape[-2:]) < self.patch_size:
            raise ValueError(f"GradientVarianceLoss: images are smaller than patch_size {self.patch_size}")
        return 2 * self._distance(self._variances(frames(output)), self._variances(frames(target)))

    def _variances(self, images: Tensor) -> Tensor:
        gray = torch.einsum("c,bchw->bhw", images.new_tensor(GRAY), images).unsqueeze(1)
        side = self.patch_size
        patches = derivatives(gray).unfold(-2, side, side).unfold(-2, side, side)
        return patches.var((-2, -1))


def derivatives(images: Tensor) -> Tensor:
    """Return the horizontal and the vertical Sobel derivative, B, 2 C, H, W; outside an image its edge continues."""
    count = images.shape[1]
    across = images.new_tensor(SOBEL)
    kernel = torch.stack([across, across.mT]).unsqueeze(1).repeat(count, 1, 1, 1)
    return F.conv2d(F.pad(images, [1] * 4, mode="replicate"), kernel, groups=count)
