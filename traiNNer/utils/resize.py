"""Bicubic resizing as MATLAB's `imresize` does it: the way super-resolution papers make their LR images.

Keys' cubic kernel with a = -0.5, widened by the factor when shrinking (antialiasing), edges mirrored with the border
pixel repeated. OpenCV, Pillow and torch each differ in one of these points.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

Kernel = Callable[[np.ndarray], np.ndarray]

KERNEL_WIDTH = 4.0


def imresize(image: np.ndarray, scale: float | None = None, size: tuple[int, int] | None = None) -> np.ndarray:
    """Resize an H, W or H, W, C image by a factor or to a size.

    Args:
        image: uint8, uint16 or float.
        scale: factor for both sides; the new size is rounded up, as MATLAB does.
        size: new (height, width); the factor of each side follows from it.

    Returns:
        uint8 and uint16 come back rounded and clipped in their own type, anything else as float64, unclipped.

    Raises:
        ValueError: neither or both of `scale` and `size` are given, or the result would be empty.
    """
    if (scale is None) == (size is None):
        raise ValueError("give either a scale or a size")
    height, width = image.shape[:2]
    if size is None:
        assert scale is not None
        factors = (float(scale), float(scale))
        size = (int(np.ceil(height * scale)), int(np.ceil(width * scale)))
    else:
        factors = (size[0] / height, size[1] / width)
    if min(size) < 1:
        raise ValueError(f"a {width}x{height} image cannot be resized to {size[1]}x{size[0]}")
    result = image.astype(np.float64)
    # MATLAB takes the side that shrinks most first; the order matters only in the last bits.
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):
        result = _resize_axis(result, axis, size[axis], factors[axis])
    if image.dtype in (np.uint8, np.uint16):
        return np.clip(np.floor(result + 0.5), 0, np.iinfo(image.dtype).max).astype(image.dtype)
    return result


def _resize_axis(image: np.ndarray, axis: int, length: int, factor: float) -> np.ndarray:
    indices, weights = contributions(image.shape[axis], length, factor)
    shape = [1] * image.ndim
    shape[axis] = length
    result = np.zeros([length if i == axis else side for i, side in enumerate(image.shape)])
    for tap in range(indices.shape[1]):
        result += np.take(image, indices[:, tap], axis=axis) * weights[:, tap].reshape(shape)
    return result


def cubic(x: np.ndarray) -> np.ndarray:
    """Return Keys' cubic convolution kernel with a = -0.5 (Keys 1981), zero beyond |x| = 2."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@lru_cache(maxsize=64)
def contributions(
    before: int,
    after: int,
    factor: float,
    kernel: Kernel = cubic,
    kernel_width: float = KERNEL_WIDTH,
    antialias: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which input pixels, and with which weights, make each output pixel: two (after, taps) arrays.

    Args:
        before: pixels of the input.
        after: pixels of the output.
        factor: output pixels for each input pixel.
        kernel: the weight at a distance in pixels; zero beyond half of `kernel_width`.
        kernel_width: how many pixels the kernel spans when enlarging.
        antialias: widen the kernel when shrinking.
    """
    stretch = min(factor, 1.0) if antialias else 1.0
    width = kernel_width / stretch
    # Pixel centres: output pixel i (from 0) lies at (i + 0.5) / factor - 0.5 of the input.
    centres = (np.arange(after) + 0.5) / factor - 0.5
    first = np.floor(centres - width / 2).astype(np.int64)
    indices = first[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = stretch * kernel(stretch * (centres[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(indices, 2 * before)
    indices = np.where(mirrored < before, mirrored, 2 * before - 1 - mirrored)
    used = np.flatnonzero(np.any(weights != 0, axis=0))
    return indices[:, used], weights[:, used]
