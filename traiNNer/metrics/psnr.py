"""Peak signal-to-noise ratio."""

import math
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import Field

from traiNNer.metrics.large_images import luma_squared_error
from traiNNer.metrics.protocol import Direction, comparable
from traiNNer.registry import METRICS

if TYPE_CHECKING:
    from torch import Tensor

PEAK = 255.0


@METRICS.register(name="psnr")
class PSNR:
    """Peak signal-to-noise ratio in dB, of one image, exact; infinite for equal images.

    Args:
        crop_border: Pixels left out on each side; by default the scale, as in published tables.
        test_y_channel: Compare the luma (BT.601, studio range, not rounded), as published tables do, instead of RGB.
    """

    direction: Direction = "higher"
    needs_target = True

    def __init__(
        self, scale: int, crop_border: Annotated[int, Field(ge=0)] | None = None, test_y_channel: bool = True
    ) -> None:
        self.crop_border = scale if crop_border is None else crop_border
        self.test_y_channel = test_y_channel

    def __call__(self, output: np.ndarray, target: np.ndarray | None) -> float:
        """Return the score of H, W, 3 RGB uint8 images. Raises `ValueError` for images that cannot be compared."""
        images = comparable(output, target, self.crop_border)
        return decibels(luma_squared_error(*images) if self.test_y_channel else mean_squared_error(*images))

    def on_device(self, output: "Tensor", target: "Tensor") -> float:
        """Return the score of images that are on a device."""
        from traiNNer.metrics.on_device import squared_error  # torch takes long to import

        return decibels(squared_error(*comparable(output, target, self.crop_border), of_luma=self.test_y_channel))


@METRICS.register(name="psnr_y")
def psnr_y(scale: int, crop_border: Annotated[int, Field(ge=0)] | None = None) -> PSNR:
    """Peak signal-to-noise ratio of the luma: `psnr` with `test_y_channel: true`.

    Args:
        scale: of the run.
        crop_border: Pixels left out on each side; by default the scale.
    """
    return PSNR(scale, crop_border, test_y_channel=True)


def decibels(error: float) -> float:
    """Return the PSNR of a mean squared error."""
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def mean_squared_error(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean squared difference of two uint8 images of one shape, exactly."""
    return round(cv2.norm(first, second, cv2.NORM_L2SQR)) / first.size  # the sum is whole; cv2 may miss its last bit
