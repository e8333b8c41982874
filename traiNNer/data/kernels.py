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
TIE = 1.15
"""Kernels closer than this cannot be told apart: the image has too little detail."""


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
        name: of the kernel, `unknown` when none comes close, None when the image cannot tell (too little detail).
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
    made = [(name, _shrunk(gt, place, scale)) for place, (name, *_) in enumerate(VARIANTS)]
    # OpenCV and torch take the first pixel of each block, Pillow and MATLAB the middle one.
    made += [(NEAREST, gt[first::scale, first::scale]) for first in (0, scale // 2)]
    errors: dict[str, float] = {}
    for name, image in made:
        error = float(np.sqrt(np.mean(np.square((np.clip(image, 0, 255) - lq)[inside]))))
        errors[name] = min(error, errors.get(name, np.inf))
    return _verdict(errors)


def shrink(image: np.ndarray, scale: int) -> np.ndarray:
    """Return a float image, whose sides the scale divides, by antialiased bicubic: `imresize` in float32, unrounded."""
    return _shrunk(image.astype(np.float32), 0, scale)


def _verdict(errors: Mapping[str, float]) -> KernelGuess:
    best, second = sorted(errors, key=lambda name: errors[name])[:2]
    floor = 0.05
    if errors[second] <= TIE * max(errors[best], floor):
        # At 2x box and bilinear are the same thing; elsewhere a tie means that the image is too smooth to tell.
        name = best if {best, second} == {"box", "bilinear, not antialiased"} else None
        name = UNKNOWN if name is None and errors[best] > CLEAR * EXACT else name
        return KernelGuess(name, errors[best])
    is_clear = errors[best] <= EXACT or errors[second] >= CLEAR * errors[best]
    return KernelGuess(best if is_clear else UNKNOWN, errors[best])


def _shrunk(image: np.ndarray, place: int, scale: int) -> np.ndarray:
    # With an integer factor every output pixel has the same weights: a filter, of which every scale-th value is kept.
    weights, anchor = _filter(place, scale)
    filtered = cv2.sepFilter2D(
        image, cv2.CV_32F, weights, weights, anchor=(anchor, anchor), borderType=cv2.BORDER_REFLECT
    )
    return filtered[::scale, ::scale]


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
