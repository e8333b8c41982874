"""Structural similarity."""

from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import Field

from traiNNer.metrics.large_images import quick_similarity
from traiNNer.metrics.protocol import Direction, Image, comparable, lumas, size
from traiNNer.metrics.ssim_window import C1, C2, SIGMA, WINDOW
from traiNNer.registry import METRICS

if TYPE_CHECKING:
    from torch import Tensor

STRIP_ROWS = 64
LARGE = 2**18
"""Pixels from which on float32 is taken: over so many windows what it rounds is less than 1e-6, and it saves time."""


@METRICS.register(name="ssim")
class SSIM:
    """Structural similarity of one image, in float64; of a large one in float32, equal to 1e-6.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity",
    2004: 11x11 Gaussian window with sigma 1.5, only where it lies inside the image. In RGB the mean of the channels.

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
        """Return the score of H, W, 3 RGB uint8 images.

        Raises:
            ValueError: the images cannot be compared, or are smaller than the window.
        """
        first, second = self._inside(output, target)
        if first.shape[0] * first.shape[1] >= LARGE:
            return quick_similarity(first, second, self.test_y_channel)
        return mean_similarity(*lumas(first, second) if self.test_y_channel else (first, second))

    def on_device(self, output: "Tensor", target: "Tensor") -> float:
        """Return the score of images that are on a device, in float64."""
        from traiNNer.metrics.on_device import similarity  # torch takes long to import

        return similarity(*self._inside(output, target), of_luma=self.test_y_channel)

    def _inside(self, output: Image, target: Image | None) -> tuple[Image, Image]:
        first, second = comparable(output, target, self.crop_border)
        if min(first.shape[:2]) < WINDOW:
            raise ValueError(
                f"SSIM needs {WINDOW}x{WINDOW} pixels, but an image of {size(output)} leaves {size(first)} "
                f"inside crop_border {self.crop_border}"
            )
        return first, second


@METRICS.register(name="ssim_y")
def ssim_y(scale: int, crop_border: Annotated[int, Field(ge=0)] | None = None) -> SSIM:
    """Structural similarity of the luma: `ssim` with `test_y_channel: true`.

    Args:
        scale: of the run.
        crop_border: Pixels left out on each side; by default the scale.
    """
    return SSIM(scale, crop_border, test_y_channel=True)


def mean_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean SSIM of two images, H, W or H, W, C in [0, 255], over all valid windows and channels."""
    rows = first.shape[0] - WINDOW + 1
    total, count = 0.0, 0
    # Strips stay in the processor's cache; whole maps of a large photo take more than twice the time.
    for top in range(0, rows, STRIP_ROWS):
        strip = slice(top, min(top + STRIP_ROWS, rows) + WINDOW - 1)
        similarity = similarity_map(first[strip].astype(np.float64), second[strip].astype(np.float64))
        total += float(similarity.sum())
        count += similarity.size
    return total / count


def similarity_map(a: np.ndarray, b: np.ndarray, only_contrast: bool = False) -> np.ndarray:
    """Return the SSIM, or its part of contrast and structure, of every window that lies inside two float64 images."""
    mean_a, mean_b = _blur(a), _blur(b)
    means = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    structure = (2 * (_blur(a * b) - means) + C2) / (_blur(a * a + b * b) - squares + C2)
    return structure if only_contrast else (2 * means + C1) / (squares + C1) * structure


def _blur(image: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    margin = WINDOW // 2
    return cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)[margin:-margin, margin:-margin]
