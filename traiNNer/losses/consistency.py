"""A loss that holds colors where they are while other losses, a GAN for example, invent detail."""

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.color_spaces import oklab
from traiNNer.losses.distances import Criterion, distance, frames
from traiNNer.losses.similarity import blurred, gaussian
from traiNNer.registry import LOSSES

Factor = Annotated[float, Field(ge=0)]


@LOSSES.register(separable=True)
class ConsistencyLoss(nn.Module):
    """Difference of blurred images in Oklab, brightness and color apart: drifting colors cost, fine detail is free.

    Oklab (Ottosson, 2020) is even: equal distances look equally different, in the shadows too.

    Args:
        luma_weight: Factor of the difference of lightness.
        chroma_weight: Factor of the difference of the two opponent colors.
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
        blur_sigma: Sigma of the Gaussian, in pixels, that both images are blurred by first; 0 does not.

    Raises:
        ValueError: both factors are 0.
    """

    def __init__(
        self,
        luma_weight: Factor = 1.0,
        chroma_weight: Factor = 1.0,
        criterion: Criterion = "charbonnier",
        blur_sigma: Annotated[float, Field(ge=0, le=8)] = 2.0,
    ) -> None:
        super().__init__()
        if luma_weight == chroma_weight == 0:
            raise ValueError("luma_weight and chroma_weight are both 0: leave the loss out instead")
        self.luma_weight = luma_weight
        self.chroma_weight = chroma_weight
        self.blur_sigma = blur_sigma
        self._distance = distance(criterion)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        found, wanted = (oklab(self._low_pass(frames(images))) for images in (output, target))
        light = self._distance(found[:, :1], wanted[:, :1])
        return self.luma_weight * light + self.chroma_weight * self._distance(found[:, 1:], wanted[:, 1:])

    def _low_pass(self, images: Tensor) -> Tensor:
        if self.blur_sigma == 0:
            return images
        margin = max(1, round(3 * self.blur_sigma))
        window = gaussian(2 * margin + 1, self.blur_sigma).to(images.device)
        return blurred(F.pad(images, [margin] * 4, mode="replicate"), window)
