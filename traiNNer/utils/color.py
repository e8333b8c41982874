"""Color conversions on plain arrays."""

import numpy as np

RGB_TO_Y = np.array([65.481, 128.553, 24.966]) / 255
Y_OFFSET = 16.0


def rgb_to_y(image: np.ndarray) -> np.ndarray:
    """Return the luma of ITU-R BT.601 in studio range, as MATLAB's `rgb2ycbcr` defines it, without rounding.

    Takes H, W, 3 RGB in [0, 255] of any number type; returns H, W float64 in [16, 235].
    """
    return image.astype(np.float64) @ RGB_TO_Y + Y_OFFSET
