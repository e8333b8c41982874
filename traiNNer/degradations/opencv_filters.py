"""Filters of single images on the CPU: the way that takes least time for the size and the shape of a kernel.

Small kernels are added up directly. A larger one is taken apart into products of two lines (its singular vectors) where
few are enough, and otherwise becomes a product of spectra.
"""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LOST = 1e-4
"""Of a kernel's weights, the share that may be left out at its border."""
ERROR = 4e-4
"""Largest error of a pixel in [0, 1] by lines instead of a kernel: a tenth of a level of 255."""
DIRECT = 9
"""Pixels of a kernel up to which products are added up."""
SPECTRA = 110
"""What spectra take: as long as lines that have, with 4 more for each pair, so many pixels in all."""
Lines = list[tuple[np.ndarray, np.ndarray]]


def filtered(image: Tensor, kernel: np.ndarray) -> Tensor:
    """Return a 1, C, H, W image correlated with a K, K kernel whose sum is 1; its borders repeat outward."""
    kernel = trimmed(kernel)
    line = _line_of(kernel)
    if line is not None:
        return _by_planes(image, lambda plane: _by_lines(plane, [line]))
    if len(kernel) <= DIRECT:
        return _by_planes(image, lambda plane: cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REPLICATE))
    lines = lines_of(kernel)
    return by_spectra(image, kernel) if lines is None else _by_planes(image, lambda plane: _by_lines(plane, lines))


def blurred(image: Tensor, lines: np.ndarray) -> Tensor:
    """Return a 1, C, H, W image blurred along both axes with a line of weights, 1, K."""
    line = lines[0].astype(np.float32)
    return _by_planes(image, lambda plane: _by_lines(plane, [(line, line)]))


def dilated(image: Tensor, radius: int) -> Tensor:
    """Return the largest value within a square of `radius` pixels around each pixel of 1, C, H, W."""
    square = np.ones((2 * int(radius) + 1,) * 2, np.uint8)
    return _by_planes(image, lambda plane: cv2.dilate(plane, square))


def by_spectra(image: Tensor, kernel: np.ndarray) -> Tensor:
    """Return a 1, C, H, W image correlated with a K, K kernel, as a product of their Fourier transforms."""
    radius = len(kernel) // 2
    height, width = image.shape[-2:]
    size = [cv2.getOptimalDFTSize(side + 2 * radius) for side in (height, width)]
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    spectrum = torch.fft.rfft2(padded, s=size).mul_(torch.fft.rfft2(torch.from_numpy(kernel), s=size).conj())
    return torch.fft.irfft2(spectrum, s=size)[..., :height, :width].contiguous()


def _by_planes(image: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    made = torch.empty(image.shape, dtype=torch.float32)
    for plane, out in zip(image[0].float().contiguous().numpy(), made[0].numpy(), strict=True):
        out[:] = change(plane)
    return made


def _by_lines(plane: np.ndarray, lines: Lines) -> np.ndarray:
    parts = (cv2.sepFilter2D(plane, -1, row, column, borderType=cv2.BORDER_REPLICATE) for column, row in lines)
    result = next(parts)
    for part in parts:
        cv2.add(result, part, dst=result)
    return result


def trimmed(kernel: np.ndarray) -> np.ndarray:
    """Return the middle of a K, K kernel without rows and columns of hardly any weight, float32 with the same sum."""
    radius = len(kernel) // 2
    axis = np.abs(np.arange(len(kernel)) - radius)
    rings = np.bincount(np.maximum(axis, axis[:, None]).ravel(), np.abs(kernel).ravel())
    left_out = rings[::-1].cumsum()[::-1]  # with everything from this ring outward
    small = max(0, int(np.count_nonzero(left_out > LOST * left_out[0])) - 1)
    middle = kernel[radius - small : radius + small + 1, radius - small : radius + small + 1]
    return (middle * (kernel.sum() / middle.sum())).astype(np.float32)


def _line_of(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the column and the row of which a kernel is the product; None where it is none."""
    column, row = kernel.sum(axis=1, dtype=np.float64), kernel.sum(axis=0, dtype=np.float64)
    row /= row.sum()
    if np.abs(np.outer(column, row) - kernel).sum() > ERROR:
        return None
    return _symmetric(column), _symmetric(row)


def lines_of(kernel: np.ndarray) -> Lines | None:
    """Return columns and rows whose products add up to a kernel; None where spectra take less time."""
    columns, sizes, rows = np.linalg.svd(kernel.astype(np.float64))
    # The sum of what is left out is at most its Euclidean length times the square root of its count.
    errors = len(kernel) * np.sqrt(np.append((sizes**2)[::-1].cumsum()[::-1][1:], 0.0))
    count = int(np.argmax(errors < ERROR)) + 1
    if count * (len(kernel) + 4) > SPECTRA:
        return None
    return [(_symmetric(columns[:, place] * sizes[place]), _symmetric(rows[place])) for place in range(count)]


def _symmetric(line: np.ndarray) -> np.ndarray:
    """Return a line, float32; one that is its own mirror image but for rounding, or the negative of it, exactly so.

    OpenCV adds up such a line in half the time.
    """
    mirrored = line[::-1]
    limit = 1e-6 * np.abs(line).max()
    for sign in (1, -1):
        if np.abs(line - sign * mirrored).max() < limit:
            return ((line + sign * mirrored) / 2).astype(np.float32)
    return line.astype(np.float32)
