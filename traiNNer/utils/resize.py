"""Bicubic resizing as MATLAB's `imresize` does it: the way super-resolution papers make their LR images.

Keys' cubic kernel with a = -0.5, widened by the factor when shrinking (antialiasing), edges mirrored with the border
pixel repeated. OpenCV, Pillow and torch each differ in one of these points.
"""

from collections.abc import Callable, Iterator
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
        result = _resize_axis(result, axis, *contributions(image.shape[axis], size[axis], factors[axis]))
    return _in_type(result, image.dtype)


def imresize_crop(image: np.ndarray, scale: int, top: int, left: int, height: int, width: int) -> np.ndarray:
    """Return a part of the image shrunk by a whole factor, without shrinking, or reading, what it is not made of.

    Equal to `imresize(image, 1 / scale)[top : top + height, left : left + width]`, bit for bit.

    Args:
        image: H, W or H, W, C; uint8, uint16 or float.
        scale: how many times smaller the result is.
        top: first row of the part, in pixels of the small image.
        left: first column.
        height: rows of the part.
        width: columns of the part.

    Raises:
        ValueError: the part is empty or reaches beyond the small image.
    """
    rows, columns = (int(np.ceil(side * (1 / scale))) for side in image.shape[:2])
    if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > columns:
        raise ValueError(f"{width}x{height} pixels at column {left}, row {top} are not in a {columns}x{rows} image")
    axes = [
        _part_of_contributions(image.shape[0], height, 1 / scale, top),
        _part_of_contributions(image.shape[1], width, 1 / scale, left),
    ]
    first = [int(indices.min()) for indices, _ in axes]
    last = [int(indices.max()) for indices, _ in axes]
    result = image[first[0] : last[0] + 1, first[1] : last[1] + 1].astype(np.float64)
    for axis, (indices, weights) in enumerate(axes):
        result = _resize_axis(result, axis, indices - first[axis], weights)
    return _in_type(result, image.dtype)


def _in_type(result: np.ndarray, kind: np.dtype) -> np.ndarray:
    if kind in (np.uint8, np.uint16):
        return np.clip(np.floor(result + 0.5), 0, np.iinfo(kind).max).astype(kind, order="C")
    return np.ascontiguousarray(result)


def _resize_axis(image: np.ndarray, axis: int, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # With the axis in front each tap is a sum over long rows; three channels inside would be loops of three.
    lines = np.ascontiguousarray(np.swapaxes(image, 0, axis))
    weights = weights.reshape(*weights.shape, *[1] * (image.ndim - 1))
    result = np.zeros((len(indices), *lines.shape[1:]))
    product = np.empty_like(result)
    for tap, places in enumerate(_places(indices)):
        np.multiply(lines[places], weights[:, tap], out=product)
        result += product
    return np.swapaxes(result, 0, axis)


def _places(indices: np.ndarray) -> Iterator[np.ndarray | slice]:
    """Return the lines of every tap: as a slice where they are evenly spaced, which copies nothing."""
    step = int(indices[1, 0] - indices[0, 0]) if len(indices) > 1 else 1
    even = np.all(np.diff(indices, axis=0) == step, axis=0) & (step > 0)
    for tap, is_even in enumerate(even):
        yield slice(indices[0, tap], indices[-1, tap] + 1, step) if is_even else indices[:, tap]


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
    return _contributions(before, after, factor, 0, kernel, kernel_width, antialias)


@lru_cache(maxsize=16)
def enlarging_matrix(side: int, scale: int) -> np.ndarray:
    """Return the sH x H matrix, float64, that enlarges one axis of H = `side` pixels by a whole factor s."""
    indices, weights = contributions(side, side * scale, float(scale))
    matrix = np.zeros((side * scale, side))
    np.add.at(matrix, (np.arange(side * scale)[:, None], indices), weights)  # an index may stand twice, at a border
    return matrix


def _contributions(
    before: int,
    count: int,
    factor: float,
    start: int,
    kernel: Kernel = cubic,
    kernel_width: float = KERNEL_WIDTH,
    antialias: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for `count` output pixels from `start` on."""
    stretch = min(factor, 1.0) if antialias else 1.0
    width = kernel_width / stretch
    # Pixel centers: output pixel i (from 0) lies at (i + 0.5) / factor - 0.5 of the input.
    centers = (np.arange(start, start + count) + 0.5) / factor - 0.5
    first = np.floor(centers - width / 2).astype(np.int64)
    indices = first[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = stretch * kernel(stretch * (centers[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(indices, 2 * before)
    indices = np.where(mirrored < before, mirrored, 2 * before - 1 - mirrored)
    used = np.flatnonzero(np.any(weights != 0, axis=0))
    return indices[:, used], weights[:, used]


_part_of_contributions = lru_cache(maxsize=1024)(_contributions)
