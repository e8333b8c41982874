"""Multi-scale structural similarity."""

from typing import Annotated

import numpy as np
from pydantic import Field

from traiNNer.metrics.protocol import Direction, comparable, lumas, size
from traiNNer.metrics.ssim import similarity_map
from traiNNer.metrics.ssim_window import WINDOW
from traiNNer.registry import METRICS

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@METRICS.register(name="ms_ssim")
class MSSSIM:
    """Multi-scale structural similarity of one image, in float64.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003: five scales,
    each half the one before, the windows of `ssim`. An image takes as many scales as still hold one window (five from
    176 pixels on), the weights of fewer rescaled to sum to one. In RGB the mean of the channels.

    Args:
        crop_border: Pixels left out on each side; by default the scale.
        test_y_channel: Compare the luma (BT.601, studio range, not rounded) instead of RGB.
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
        images = comparable(output, target, self.crop_border)
        first, second = lumas(*images) if self.test_y_channel else images
        if min(first.shape[:2]) < WINDOW:
            raise ValueError(f"MS-SSIM needs {WINDOW}x{WINDOW} pixels inside crop_border, not {size(first)}")
        return multi_scale_similarity(first.astype(np.float64), second.astype(np.float64))


@METRICS.register(name="ms_ssim_y")
def ms_ssim_y(scale: int, crop_border: Annotated[int, Field(ge=0)] | None = None) -> MSSSIM:
    """Multi-scale structural similarity of the luma: `ms_ssim` with `test_y_channel: true`.

    Args:
        scale: of the run.
        crop_border: Pixels left out on each side; by default the scale.
    """
    return MSSSIM(scale, crop_border, test_y_channel=True)


def multi_scale_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Return MS-SSIM of two float64 images, H, W or H, W, C in [0, 255]: the mean over the channels."""
    count = sum(min(a.shape[:2]) >> level >= WINDOW for level in range(len(SCALE_WEIGHTS)))
    weights = np.array(SCALE_WEIGHTS[:count])
    if count < len(SCALE_WEIGHTS):  # the five of the paper sum to 1.0001, and published scores keep that
        weights /= weights.sum()
    product = np.float64(1)
    for level, weight in enumerate(weights):
        is_last = level == count - 1
        mean = similarity_map(a, b, only_contrast=not is_last).mean((0, 1))
        # A power of a negative mean, of images that are opposites, is not a number.
        product = product * np.maximum(mean, 0) ** weight
        a, b = _halved(a), _halved(b)
    return float(np.mean(product))


def _halved(image: np.ndarray) -> np.ndarray:
    """Return the means of blocks of 2 x 2 pixels; a last odd row or column is left out."""
    height, width = (side // 2 * 2 for side in image.shape[:2])
    parts = [image[top:height:2, left:width:2] for top in (0, 1) for left in (0, 1)]
    return (parts[0] + parts[1] + parts[2] + parts[3]) / 4
