"""Which kernel made an LR image: its HR image is shrunk by each, and the one that comes out equal is the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from traiNNer.utils.resize import Kernel, contributions, cubic

UNKNOWN = "unknown"
MARGIN = 4
"""Border of LR in pixels that is not compared: libraries differ there."""
LEAST_SIDE = 16
EXACT = 0.6
"""Error in levels of 255 below which a kernel made the image: rounding once is 0.29, twice 0.41."""
CLEAR = 3.0
"""Beyond `EXACT` (LR was compressed, or is noisy) the best kernel counts if the next is this many times worse."""
NOTHING = 0.05
TIE = 1.15
"""Kernels closer than this cannot be distinguished: the image has too little detail."""


def cubic_75(x: np.ndarray) -> np.ndarray:
    """Return the cubic kernel with a = -0.75 that OpenCV and torch use."""
    x = np.abs(x)
    near = 1.25 * x**3 - 2.25 * x**2 + 1
    far = -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def lanczos_3(x: np.ndarray) -> np.ndarray:
    """Return Lanczos' kernel with three lobes, as Pillow has it."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def lanczos_4(x: np.ndarray) -> np.ndarray:
    """Return Lanczos' kernel with four lobes, as OpenCV has it."""
    return np.where(np.abs(x) < 4, np.sinc(x) * np.sinc(x / 4), 0.0)


def triangle(x: np.ndarray) -> np.ndarray:
    """Return the kernel of bilinear interpolation."""
    return np.maximum(0.0, 1 - np.abs(x))


def box(x: np.ndarray) -> np.ndarray:
    """Return the kernel that weighs each pixel by how much of it the output pixel covers, for integer factors."""
    return np.where(np.abs(x) < 0.5, 1.0, 0.0)


BICUBIC = "bicubic, antialiased"
# Name -> (kernel, width, widened when shrinking). "Without antialiasing" is what cv2.resize and torch's default do.
VARIANTS: tuple[tuple[str, Kernel, float, bool], ...] = (
    (BICUBIC, cubic, 4.0, True),
    ("bicubic, not antialiased", cubic, 4.0, False),
    ("bicubic, not antialiased", cubic_75, 4.0, False),
    ("Lanczos", lanczos_3, 6.0, True),
    ("Lanczos, not antialiased", lanczos_4, 8.0, False),
    ("box", box, 1.0, True),
    ("bilinear, antialiased", triangle, 2.0, True),
    ("bilinear, not antialiased", triangle, 2.0, False),
)
NEAREST = "nearest"


@dataclass(frozen=True)
class KernelGuess:
    """The kernel that made an image.

    Args:
        name: of the kernel, `unknown` when none comes close, None when the image cannot show it (too little detail).
        error: root mean square difference to the image shrunk by the best kernel, in levels of 255.
    """

    name: str | None
    error: float


def guess_kernel(lq: np.ndarray, gt: np.ndarray) -> KernelGuess:
    """Return the kernel by which `lq` was made of `gt`: H, W float images in 0..255 whose sizes have an integer ratio.

    Whatever the ratio is, at 1 and for sides below 16 pixels the answer is None.
    """
    scale = gt.shape[0] // lq.shape[0]
    if scale < 2 or min(lq.shape) < LEAST_SIDE:
        return KernelGuess(None, 0.0)
    gt, inside = gt.astype(np.float32), (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    errors: dict[str, float] = {}
    for name, line, anchor in _distinct(scale):
        made = np.clip(_filtered(gt, np.array(line, np.float32), anchor, scale), 0, 255)
        error = float(np.sqrt(np.mean(np.square((made - lq)[inside]))))
        errors[name] = min(error, errors.get(name, np.inf))
    return _verdict(errors)


def shrink(image: np.ndarray, scale: int) -> np.ndarray:
    """Return a float image, whose sides the scale divides, by antialiased bicubic: `imresize` in float32, unrounded."""
    return _filtered(image.astype(np.float32), *_filter(0, scale), scale)


def _verdict(errors: Mapping[str, float]) -> KernelGuess:
    best, second = sorted(errors, key=lambda name: errors[name])[:2]
    if errors[second] <= TIE * max(errors[best], NOTHING):
        return KernelGuess(UNKNOWN if errors[best] > CLEAR * EXACT else None, errors[best])
    is_clear = errors[best] <= EXACT or errors[second] >= CLEAR * errors[best]
    return KernelGuess(best if is_clear else UNKNOWN, errors[best])


def _filtered(image: np.ndarray, line: np.ndarray, anchor: int, scale: int) -> np.ndarray:
    # With an integer factor every output pixel has the same weights: a filter, of which every scale-th value is kept.
    whole = cv2.sepFilter2D(image, cv2.CV_32F, line, line, anchor=(anchor, anchor), borderType=cv2.BORDER_REFLECT)
    return whole[::scale, ::scale]


@lru_cache(maxsize=16)
def _distinct(scale: int) -> tuple[tuple[str, tuple[float, ...], int], ...]:
    """Return the kernels that differ at a scale, each with its weights and which of them is the block's first pixel.

    At 2x box and bilinear are one; at odd scales those that are not widened all take the middle pixel: nearest.
    """
    found: dict[tuple[tuple[float, ...], int], str] = {}
    # OpenCV and torch take the first pixel of each block, Pillow and MATLAB the middle one.
    for first in (0, scale // 2):
        found.setdefault(((*[0.0] * first, 1.0), 0), NEAREST)
    for place, (name, *_) in enumerate(VARIANTS):
        line, anchor = _filter(place, scale)
        used = np.flatnonzero(np.abs(line) > 1e-6)
        first, last = min(int(used[0]), anchor), int(used[-1])
        trimmed = tuple(round(float(weight), 6) for weight in line[first : last + 1])
        found.setdefault((trimmed, anchor - first), name)
    return tuple((name, line, anchor) for (line, anchor), name in found.items())


@lru_cache(maxsize=64)
def _filter(place: int, scale: int) -> tuple[np.ndarray, int]:
    """Return the weights of an output pixel, and which of them belongs to the first pixel of its block."""
    _, kernel, width, antialias = VARIANTS[place]
    outputs = 32  # far enough from the borders in the middle
    indices, weights = contributions(outputs * scale, outputs, 1 / scale, kernel, width, antialias)
    middle = outputs // 2
    offsets = indices[middle] - middle * scale
    line = np.zeros(max(offsets.max(), 0) - min(offsets.min(), 0) + 1, np.float32)
    anchor = -min(int(offsets.min()), 0)
    line[offsets + anchor] = weights[middle]
    return line, anchor
