"""Multi-scale structural similarity mixed with absolute differences."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import frames
from traiNNer.losses.similarity import blurred, gaussian, similarity_maps
from traiNNer.losses.structural import soft_log
from traiNNer.registry import LOSSES

Sigma = Annotated[float, Field(gt=0, le=16)]


@LOSSES.register(separable=True)
class MSSSIML1Loss(nn.Module):
    """`alpha` times one minus MS-SSIM, plus `1 - alpha` times L1 seen through the widest Gaussian.

    Zhao, Gallo, Frosio and Kautz, "Loss Functions for Image Restoration With Neural Networks", 2017: instead of
    smaller images wider windows, at every pixel; brightness counts at the widest one only. Edges are mirrored.

    Args:
        alpha: Share of the structural part; 0.84 in the paper, and much less where colors should stay exact.
        gaussian_sigmas: Sigma of each window, in pixels.
        data_range: Largest gray level; 1 for images as they are trained on here.
        k: Constants that keep the quotients of flat areas calm, as shares of `data_range`.
    """

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.1,
        gaussian_sigmas: Annotated[tuple[Sigma, ...], Field(min_length=1)] = (0.5, 1.0, 2.0, 4.0, 8.0),
        data_range: Annotated[float, Field(gt=0)] = 1.0,
        k: tuple[float, float] = (0.01, 0.03),
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.sigmas = tuple(sorted(gaussian_sigmas))
        self.c1, self.c2 = ((part * data_range) ** 2 for part in k)
        for place, sigma in enumerate(self.sigmas):
            self.register_buffer(f"window_{place}", gaussian(2 * _margin(sigma) + 1, sigma), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are too small to be mirrored by half of the widest window.
        """
        x, y = frames(output), frames(target)
        least = _margin(self.sigmas[-1]) + 1
        if min(x.shape[-2:]) < least:
            raise ValueError(f"MSSSIML1Loss with sigma {self.sigmas[-1]:g} needs images of at least {least} pixels")
        logarithm = torch.zeros_like(x)
        for place, sigma in enumerate(self.sigmas):
            window = self.get_buffer(f"window_{place}")
            wide_x, wide_y = (F.pad(images, [_margin(sigma)] * 4, mode="reflect") for images in (x, y))
            similarity, contrast = similarity_maps(wide_x, wide_y, window, self.c1, self.c2)
            logarithm = logarithm + soft_log(similarity if place == len(self.sigmas) - 1 else contrast)
        widest = self.get_buffer(f"window_{len(self.sigmas) - 1}")
        absolute = blurred(F.pad((x - y).abs(), [_margin(self.sigmas[-1])] * 4, mode="reflect"), widest)
        return self.alpha * (1 - logarithm.exp().mean()) + (1 - self.alpha) * absolute.mean()


def _margin(sigma: float) -> int:
    """Return half of a window: two sigmas and more, as in the paper (33 pixels in all for sigma 8)."""
    return max(1, round(2 * sigma))
