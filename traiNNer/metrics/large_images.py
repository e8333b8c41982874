"""Structural similarity and luma error, many times faster than their plain forms and equal to 1e-6 on large images."""

from collections.abc import Iterator

import cv2
import numpy as np

from traiNNer.metrics.ssim_window import C1, C2, SIGMA, WINDOW

ROWS, COLUMNS = 64, 720
"""Windows of a tile: its maps stay in the processor's cache, where a pass over them costs a fifth."""
LUMA = np.array([[299, 587, 114]], np.float32)
"""BT.601 in thousandths. Float32 holds these products of 8-bit levels exactly, and their sums."""
LUMA_UNIT = 219 / 255000
"""Gray levels in studio range of one unit of those sums."""
STEP = 8
"""Every pixel so many rows and columns apart is enough to know about where the levels of a tile lie."""


def _kernel() -> np.ndarray:
    """Return the window's weights in float32 with a sum of exactly one: an error of the sum would not average out."""
    weights = np.round(cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F) * 2**25) / 2**25
    weights[WINDOW // 2] += 1 - weights.sum()
    return weights.astype(np.float32)


KERNEL = _kernel()


def luma_squared_error(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean squared difference of the luma (BT.601, studio range) of two H, W, 3 uint8 images, exactly."""
    total = 0
    for top in range(0, first.shape[0], ROWS):
        rows = slice(top, top + ROWS)
        difference = cv2.subtract(first[rows], second[rows], dtype=cv2.CV_32F)
        total += round(cv2.norm(cv2.transform(difference, LUMA), cv2.NORM_L2SQR))  # a sum of whole numbers
    return total * LUMA_UNIT**2 / (first.shape[0] * first.shape[1])


def quick_similarity(first: np.ndarray, second: np.ndarray, of_luma: bool) -> float:
    """Return the mean SSIM of two H, W, 3 uint8 images over all valid windows, and channels or their luma.

    Sum and difference of the images are filtered instead of the images: (a + b)² and (a - b)² have all that is needed
    of a², b² and ab, and the differences stay small, which float32 asks for. `mean_similarity` is the plain form.
    """
    total, count = 0.0, 0
    for part in _parts(first.shape[0], first.shape[1]):
        similarity = _similarity(first[part], second[part], of_luma)
        total += sum(cv2.sumElems(similarity))
        count += similarity.size
    return total / count


def _parts(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Return the parts of an image that hold each of its windows once."""
    margin = WINDOW - 1
    for top in range(0, height - margin, ROWS):
        for left in range(0, width - margin, COLUMNS):
            yield slice(top, min(top + ROWS + margin, height)), slice(left, min(left + COLUMNS + margin, width))


def _similarity(a: np.ndarray, b: np.ndarray, of_luma: bool) -> np.ndarray:
    """Return the SSIM of every window of two H, W, 3 uint8 images."""
    levels = [sum(cv2.mean(image[::STEP, ::STEP])[:3]) // 3 for image in (a, b)]
    means, variances = _moments(a, b, levels[0] + levels[1], +1, of_luma, (2 * C1, 2 * C2))
    deltas, errors = _moments(a, b, levels[0] - levels[1], -1, of_luma, (0.0, 0.0))
    # Twice a b is now (means - deltas) / 2, and a² + b² is (means + deltas) / 2; so are the covariances.
    upper = np.multiply(means - deltas, variances - errors)
    means += deltas
    variances += errors
    means *= variances
    return np.divide(upper, means, out=upper)


def _moments(
    a: np.ndarray, b: np.ndarray, level: float, sign: int, of_luma: bool, added: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared mean and the variance of `a + sign * b` in every window, each with a constant added.

    `level` is about the mean of them all. It is taken off first: the smaller a number, the less its square is rounded.
    """
    values = cv2.addWeighted(a, 1, b, sign, -level, dtype=cv2.CV_32F)
    if of_luma:
        values = cv2.transform(values, LUMA * np.float32(LUMA_UNIT))
        level = float(np.float32(level * 219 / 255 + 16 * (1 + sign)))
    means = _blur(values, level)
    variances = _blur(np.multiply(values, values, out=values), added[1])
    offsets = np.subtract(means, level, out=values[: means.shape[0], : means.shape[1]])
    variances -= np.multiply(offsets, offsets, out=offsets)
    means *= means
    if added[0]:
        means += added[0]
    return means, variances


def _blur(image: np.ndarray, added: float = 0.0) -> np.ndarray:
    margin = WINDOW // 2
    return cv2.sepFilter2D(image, cv2.CV_32F, KERNEL, KERNEL, delta=added)[margin:-margin, margin:-margin]
