"""Color at a lower resolution than brightness, as nearly all video and most photos have it."""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Weights, require_weights
from traiNNer.registry import DEGRADATIONS

Subsampling = Literal["422", "420", "411", "410"]
FACTORS = {"422": (1, 2), "420": (2, 2), "411": (1, 4), "410": (4, 4)}
"""Rows and columns of pixels that share one color."""
LUMA = (0.299, 0.587, 0.114)


@DEGRADATIONS.register()
class Chroma(Degradation):
    """Store color coarsely and enlarge it smoothly, brightness staying as it is (ITU-R BT.601).

    The same is a part of `jpeg`.

    Args:
        subsampling: one is drawn for each image. `422`: half the width, `420`: half the width and height, `411`: a
            quarter of the width, `410`: a quarter of both.
        subsampling_weights: how often each is drawn; equally often when left out.
    """

    def __init__(
        self,
        subsampling: Annotated[tuple[Subsampling, ...], Field(min_length=1)] = ("422", "420"),
        subsampling_weights: Weights = (),
    ) -> None:
        require_weights(subsampling, subsampling_weights, "subsampling_weights")
        self.subsampling, self.weights = subsampling, subsampling_weights

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images with coarse color, B, 3, H, W, not clamped."""
        chosen = draws.choice("subsampling", self.subsampling, self.weights)
        luma = (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        color = images - luma  # what is averaged linearly is the same in these differences as in Cb and Cr
        result = images
        for place, name in enumerate(self.subsampling):
            here = np.flatnonzero(chosen == place)
            if len(here):
                index = torch.from_numpy(here).to(images.device)
                result = result.index_copy(0, index, luma[index] + coarse(color[index], *FACTORS[name]))
        return result


def coarse(planes: Tensor, down: int, across: int) -> Tensor:
    """Return B, C, H, W planes averaged over blocks of `down` x `across` pixels, and enlarged between their centers."""
    height, width = planes.shape[-2:]
    padded = F.pad(planes, (0, -width % across, 0, -height % down), mode="replicate")
    small = F.avg_pool2d(padded, (down, across))
    return F.interpolate(small, size=padded.shape[-2:], mode="bilinear", align_corners=False)[..., :height, :width]
