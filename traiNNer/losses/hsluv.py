"""A loss on hue, saturation and lightness as people see them."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.color_spaces import hsluv_saturation, luv
from traiNNer.losses.distances import Criterion, frames, rounded
from traiNNer.losses.similarity import blurred, gaussian
from traiNNer.registry import LOSSES

Factor = Annotated[float, Field(ge=0)]
GRAY = 5.0
"""Chroma, in units of L*u*v*, around which a color turns from gray, which has no hue, to a hue that counts in full."""


@LOSSES.register(separable=True)
class HSLuvLoss(nn.Module):
    """Differences of hue, saturation and lightness in HSLuv, each in [0, 1] and with a factor; they are added up.

    Hue is a point on a circle of diameter one, drawn to its center as a color fades to gray; two hues differ by the
    distance of their points. So no pixel is without gradient and no color has an arbitrary hue. Saturation counts
    less where the ground truth is nearly black or white, where nobody sees it.

    Args:
        hue_weight: Factor of the difference of hues.
        saturation_weight: Factor of the difference of saturations.
        lightness_weight: Factor of the difference of lightness.
        criterion: `l1` mean absolute, `l2` mean squared, `charbonnier` absolute with a round bottom.
        downscale_factor: Scale both images down by this factor first (bicubic, antialiased).
        blur_strength: Blur both images first by a Gaussian of this sigma, in pixels; 0 does not.

    Raises:
        ValueError: all three factors are 0.
    """

    def __init__(
        self,
        hue_weight: Factor = 1 / 3,
        saturation_weight: Factor = 1 / 3,
        lightness_weight: Factor = 1 / 3,
        criterion: Criterion = "l1",
        downscale_factor: Annotated[int, Field(ge=1)] = 1,
        blur_strength: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__()
        if hue_weight == saturation_weight == lightness_weight == 0:
            raise ValueError("hue_weight, saturation_weight and lightness_weight are all 0: leave the loss out instead")
        self.hue_weight = hue_weight
        self.saturation_weight = saturation_weight
        self.lightness_weight = lightness_weight
        self.criterion: Criterion = criterion
        self.downscale_factor = downscale_factor
        self.blur_strength = blur_strength

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1]."""
        found, wanted = luv(self._prepared(output)), luv(self._prepared(target))
        light = wanted[:, 0] / 100
        hue = self._circle_distance(found, wanted)
        saturation = rounded(hsluv_saturation(found) - hsluv_saturation(wanted), self.criterion)
        visible = 2 * torch.minimum(light, 1 - light).clamp(min=0)
        return (
            self.hue_weight * hue.mean()
            + self.saturation_weight * (visible * saturation).mean()
            + self.lightness_weight * rounded(found[:, 0] / 100 - light, self.criterion).mean()
        )

    def _prepared(self, images: Tensor) -> Tensor:
        images = frames(images)
        if self.blur_strength:
            window = gaussian(4 * self.blur_strength + 1, self.blur_strength).to(images.device)
            images = blurred(F.pad(images, [2 * self.blur_strength] * 4, mode="reflect"), window)
        if self.downscale_factor > 1:
            images = F.interpolate(images, scale_factor=1 / self.downscale_factor, mode="bicubic", antialias=True)
        return images

    def _circle_distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        squared = (_hue_point(found) - _hue_point(wanted)).square().sum(1)
        if self.criterion == "l2":
            return squared
        return (squared + 1e-12).sqrt() - 1e-6


def _hue_point(planes: Tensor) -> Tensor:
    """Return a point of a disc of diameter one, B, 2, H, W: at the rim the hue, in the center gray."""
    color = planes[:, 1:]
    return 0.5 * color / (color.square().sum(1, keepdim=True) + GRAY**2).sqrt()
