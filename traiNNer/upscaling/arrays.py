"""Arrays of callers as pictures, and back: whatever has the channels of an image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from traiNNer.upscaling.image import PEAKS, Picture

SHAPES = "H, W; H, W, 1; H, W, 2 (with opacity); H, W, 3 or H, W, 4 (with opacity)"


def split(image: NDArray[Any]) -> Picture:
    """Return an array as colors and opacity, floating point as float32. Raises `ValueError` for what is no image."""
    channels = 1 if image.ndim == 2 else image.shape[-1]
    if image.ndim not in (2, 3) or not 1 <= channels <= 4 or image.size == 0:
        raise ValueError(f"an image is an array of {SHAPES}, not of shape {image.shape}")
    if image.dtype.name not in PEAKS:
        if not np.issubdtype(image.dtype, np.floating):
            raise ValueError(f"an image is of uint8, uint16 or floating point, not {image.dtype}")
        if not (image.min() >= 0 and image.max() <= 1):
            raise ValueError(
                f"floating-point images are in [0, 1], not in [{image.min():g}, {image.max():g}]: "
                "divide by the largest value, e.g. 255"
            )
        image = image.astype(np.float32)
    if image.ndim == 2:
        return Picture(image)
    opacity = image[:, :, -1] if channels in (2, 4) else None
    return Picture(image[:, :, 0] if channels <= 2 else image[:, :, :3], opacity)


def joined(picture: Picture, like: NDArray[Any]) -> NDArray[Any]:
    """Return a picture as one array, of the type and the number of dimensions of another."""
    colors = picture.colors if picture.colors.ndim == 3 or like.ndim == 2 else picture.colors[:, :, None]
    return (colors if picture.opacity is None else np.dstack([colors, picture.opacity])).astype(like.dtype)
