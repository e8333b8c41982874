"""What is measured on the pixels of one pair: a few numbers, so that no image of a set has to be kept."""

from dataclasses import dataclass

import cv2
import numpy as np

from traiNNer.audit.alignment import Alignment, align
from traiNNer.audit.duplicates import LEAST_SPREAD, Fingerprint, fingerprint
from traiNNer.audit.kernels import KernelGuess, guess_kernel, shrink
from traiNNer.audit.sharpness import detail_ratio
from traiNNer.data.files.pairing import Pair
from traiNNer.imaging.image_file import MAX_MEGAPIXELS, read_image
from traiNNer.imaging.jpeg_traces import jpeg_quality

WINDOW = 768
"""Of larger images the middle square of about this side is measured, in HR pixels."""
GRID = 8
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
COARSE = 8
"""Color is compared in means of this many LR pixels, where neither the kernel nor a small shift matters."""
BORDER = 0.05


@dataclass(frozen=True)
class PairMeasures:
    """How an LR image fits its HR image.

    Args:
        alignment: the shift of LR in HR pixels, None where it cannot be determined.
        left_over: the difference to HR that remains once the shift is undone, as a share of what it was.
        color: per channel, by how many levels of 255 LR is brighter than HR.
        contrast: per channel, the contrast of LR by that of HR.
        kernel: what made LR.
    """

    alignment: Alignment | None
    left_over: float
    color: tuple[float, ...]
    contrast: tuple[float, ...]
    kernel: KernelGuess


@dataclass(frozen=True)
class Measures:
    """What was measured of one image or pair; levels are of 255.

    Args:
        mark: the fingerprint of the HR image.
        mean: mean luma of HR.
        spread: standard deviation of its luma.
        jpeg_quality: at which HR was once compressed, None without traces of it.
        detail: fine by coarse detail of HR in its sharpest parts, None where it cannot be determined.
        pair: of LR and HR; None without LR, for sizes that do not fit, and for flat images.
    """

    mark: Fingerprint
    mean: float
    spread: float
    jpeg_quality: float | None
    detail: float | None
    pair: PairMeasures | None


def measure(pair: Pair, scale: int | None, max_megapixels: float = MAX_MEGAPIXELS) -> Measures:
    """Decode a pair and measure it.

    Args:
        pair: with HR only, `lq` is None.
        scale: what the sizes of the pair fit; None: only HR is measured.
        max_megapixels: larger images are refused.

    Raises:
        ImageError: a file cannot be read or decoded.
    """
    gt = read_image(pair.files[0], max_megapixels)
    mark = fingerprint(gt)
    lq = read_image(pair.lq, max_megapixels) if pair.lq and scale else None
    gt, lq = _window(gt, lq, scale or 1)
    luma = gt @ LUMA
    spread = float(luma.std())
    fits = lq is not None and scale and spread >= LEAST_SPREAD
    return Measures(
        mark=mark,
        mean=float(luma.mean()),
        spread=spread,
        jpeg_quality=jpeg_quality(luma),
        detail=detail_ratio(luma),
        pair=_measure_pair(lq, gt, scale) if lq is not None and fits and scale else None,
    )


def _window(gt: np.ndarray, lq: np.ndarray | None, scale: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the middle of HR and the same of LR as float32 in 0..255; HR loses the rest that LR has no pixel for."""
    height, width = lq.shape[:2] if lq is not None else gt.shape[:2]
    side = WINDOW // scale // GRID * GRID
    # A whole number of JPEG blocks from the corner, so that blocks begin where the window does.
    top, left = (max(0, (length - side) // 2) // GRID * GRID for length in (height, width))
    bottom, right = min(height, top + side), min(width, left + side)
    if lq is None:
        return _levels(gt[top:bottom, left:right]), None
    inside = gt[top * scale : bottom * scale, left * scale : right * scale]
    return _levels(inside), _levels(lq[top:bottom, left:right])


def _levels(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / np.float32(257 if image.dtype == np.uint16 else 1)


def _measure_pair(lq: np.ndarray, gt: np.ndarray, scale: int) -> PairMeasures:
    reference = shrink(gt, scale)
    luma, luma_gt = lq @ LUMA, gt @ LUMA
    found = align(luma, reference @ LUMA)
    color, contrast = _colors(lq, reference)
    left_over = 1.0
    if found:
        found = Alignment(found.dy * scale, found.dx * scale, found.correlation)
        left_over = _left_over(luma, luma_gt, found, scale)
    return PairMeasures(found, left_over, color, contrast, guess_kernel(lq[:, :, 1], gt[:, :, 1]))


def _left_over(lq: np.ndarray, gt: np.ndarray, shift: Alignment, scale: int) -> float:
    height, width = gt.shape
    move = np.array([[1, 0, shift.dx], [0, 1, shift.dy]], np.float64)
    moved = cv2.warpAffine(gt, move, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    inside = tuple(slice(int(side * BORDER) + 1, side - int(side * BORDER) - 1) for side in lq.shape)
    before, after = (float(np.std((lq - shrink(image, scale))[inside])) for image in (gt, moved))
    return after / before if before > 0 else 1.0


def _colors(lq: np.ndarray, reference: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    size = (max(1, lq.shape[1] // COARSE), max(1, lq.shape[0] // COARSE))
    coarse, coarse_gt = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (lq, reference))
    brighter = coarse.mean(axis=(0, 1)) - coarse_gt.mean(axis=(0, 1))
    spreads = coarse_gt.std(axis=(0, 1))
    # In a channel that is even, the ratio of two nothings says nothing.
    contrast = np.where(spreads > LEAST_SPREAD * 2, coarse.std(axis=(0, 1)) / np.maximum(spreads, 1e-3), 1.0)
    return tuple(map(float, brighter)), tuple(map(float, contrast))
