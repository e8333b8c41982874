"""Temporal consistency: whether an output changes from frame to frame as the film does."""

import math
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import Field

from traiNNer.metrics.protocol import Direction, comparable, lumas, size
from traiNNer.metrics.psnr import decibels
from traiNNer.registry import METRICS
from traiNNer.utils.color import rgb_to_y

LEAST_SIDE = 16
"""Pixels of a side for which optical flow can be found."""
ABSOLUTE, RELATIVE = 0.5, 0.01
"""A pixel is taken as hidden where flow and flow back differ by more (squared) than this and this share of both."""


@METRICS.register(name="tpsnr")
class TemporalPSNR:
    """PSNR of what changes from the frame before, in dB: of the output's difference and the ground truth's.

    Flicker and wobble count, what is equally wrong in both frames does not. Peak 255, float64; from the second frame of
    a scene on; infinite where output and ground truth change alike.

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

    def __call__(
        self,
        output: np.ndarray,
        target: np.ndarray | None,
        previous_output: np.ndarray,
        previous_target: np.ndarray | None,
    ) -> float:
        """Return the score of H, W, 3 RGB uint8 images. Raises `ValueError` for images that cannot be compared."""
        now = comparable(output, target, self.crop_border)
        before = comparable(previous_output, previous_target, self.crop_border)
        if self.test_y_channel:
            now, before = lumas(*now), lumas(*before)
        made, wanted = (one.astype(np.float64) - other for one, other in zip(now, before, strict=True))
        return decibels(float(np.mean(np.square(made - wanted))))


@METRICS.register(name="warpdiff")
class WarpedDifference:
    """How far the output differs from the one before, moved as the film moves: the root mean square, in levels of 255.

    Lai et al., "Learning Blind Video Temporal Consistency", 2018, with the optical flow of OpenCV (DIS, Kroeger et al.
    2016), found in the luma of the ground truth, or of the output where there is none. Pixels that are hidden in the
    other frame do not count: there the flow there and back does not end where it began (Sundaram et al. 2010). Smooth
    outputs have low values, so compare at equal PSNR. From the second frame of a scene on.

    Args:
        crop_border: Pixels left out on each side; by default the scale.
    """

    direction: Direction = "lower"
    needs_target = False

    def __init__(self, scale: int, crop_border: Annotated[int, Field(ge=0)] | None = None) -> None:
        self.crop_border = scale if crop_border is None else crop_border

    def __call__(
        self,
        output: np.ndarray,
        previous_output: np.ndarray,
        target: np.ndarray | None = None,
        previous_target: np.ndarray | None = None,
    ) -> float:
        """Return the score of H, W, 3 RGB uint8 images.

        Raises:
            ValueError: the images cannot be compared, or are too small for optical flow.
        """
        now, before = comparable(output, previous_output, self.crop_border)
        if min(now.shape[:2]) < LEAST_SIDE:
            raise ValueError(f"optical flow needs a side of {LEAST_SIDE} pixels inside crop_border, not {size(now)}")
        shown = (now, before)
        if target is not None and previous_target is not None:
            shown = comparable(target, previous_target, self.crop_border)
        moved, is_seen = warped(before, *(_luma(image) for image in shown))
        squares = np.square(now.astype(np.float64) - moved).mean(axis=2)
        return math.sqrt(float(squares[is_seen].mean())) if is_seen.any() else 0.0


def warped(before: np.ndarray, now_luma: np.ndarray, before_luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an H, W, 3 frame moved to where its content is in the next one, and which pixels are seen in both."""
    back, there = _flow(now_luma, before_luma), _flow(before_luma, now_luma)
    places = np.stack(np.meshgrid(np.arange(back.shape[1]), np.arange(back.shape[0])), axis=2).astype(np.float32)
    source = places + back
    columns, rows = (np.ascontiguousarray(source[..., axis]) for axis in (0, 1))
    returned = cv2.remap(there, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.square(back + returned).sum(axis=2)
    limit = RELATIVE * (np.square(back).sum(axis=2) + np.square(returned).sum(axis=2)) + ABSOLUTE
    inside = ((source >= 0) & (source <= np.array(back.shape[1::-1]) - 1)).all(axis=2)
    moved = cv2.remap(before.astype(np.float32), columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved, (apart <= limit) & inside


def _flow(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return for each pixel of one H, W uint8 luma where it is in the other: H, W, 2 float32 of columns and rows."""
    # Their names are missing in the type hints of OpenCV.
    flow: Any = getattr(cv2, "DISOpticalFlow_create")(2)  # noqa: B009 - the preset "medium"
    return flow.calc(one, other, None)


def _luma(image: np.ndarray) -> np.ndarray:
    return np.round(rgb_to_y(image)).astype(np.uint8)
