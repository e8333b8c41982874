"""How far two images of one scene are shifted against each other, to a fraction of a pixel, by phase correlation.

The whole pixels are the peak of the phase correlation (Kuglin and Hines 1975), the fraction is the slope of the phase
difference over the low frequencies (Stone et al. 2001): there aliasing, noise and the shrinking kernel matter least.
"""

from dataclasses import dataclass

import numpy as np

BAND = (0.02, 0.25)
"""Frequencies used, in cycles per pixel: below, the window's own shape; above, aliasing of LR."""
LEAST_SIDE = 16


@dataclass(frozen=True)
class Alignment:
    """How an image lies on its reference.

    Args:
        dy: how many pixels the content lies lower than in the reference.
        dx: how many pixels it lies further right.
        correlation: of the two within `BAND`, shift undone: 1 for the same content, about 0 for unrelated images.
    """

    dy: float
    dx: float
    correlation: float


def align(image: np.ndarray, reference: np.ndarray) -> Alignment | None:
    """Return how an H, W float image is shifted against a reference of the same size.

    None where it cannot be determined: sides below 16 pixels, or nothing but a flat area to go by.
    """
    if min(image.shape) < LEAST_SIDE:
        return None
    top, left = _whole_pixels(image, reference)
    image, reference = _overlap(image, top, left), _overlap(reference, -top, -left)
    if min(image.shape) < LEAST_SIDE:
        return None
    spectrum, other = _spectrum(image), _spectrum(reference)
    fy, fx = _frequencies(image.shape)
    radius = np.hypot(fy, fx)
    inside = (radius > BAND[0]) & (radius < BAND[1])
    cross = (spectrum * other.conj())[inside]
    power = np.sqrt(np.sum(np.abs(spectrum[inside]) ** 2) * np.sum(np.abs(other[inside]) ** 2))
    if power < 1e-6 * image.size:  # far below one gray level
        return None
    slopes = np.stack([fy[inside], fx[inside]], axis=1) * -2 * np.pi
    shift = _phase_slope(cross, slopes)
    correlation = float(np.real(np.sum(cross * np.exp(-1j * (slopes @ shift)))) / power)
    return Alignment(top + float(shift[0]), left + float(shift[1]), correlation)


def _whole_pixels(image: np.ndarray, reference: np.ndarray) -> tuple[int, int]:
    cross = _spectrum(image) * _spectrum(reference).conj()
    # Both whitened and damped towards high frequencies, where two kernels or two encodings differ.
    fy, fx = _frequencies(image.shape)
    damped = np.exp(-((np.hypot(fy, fx) / BAND[1]) ** 2)) * cross / (np.abs(cross) + 1e-9)
    peak = np.fft.irfft2(damped, image.shape)
    row, column = np.unravel_index(int(np.argmax(peak)), peak.shape)
    height, width = image.shape
    return (int(row) + height // 2) % height - height // 2, (int(column) + width // 2) % width - width // 2


def _phase_slope(cross: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Fit the phases by a plane through zero, weighted by power; phases far off the plane are left out in turn."""
    phases, weights = np.angle(cross), np.abs(cross)
    shift = np.zeros(2)
    for tolerance in (np.pi, np.pi / 2, np.pi / 4, np.pi / 4):
        # The difference to the plane so far, wrapped, so that a phase beyond half a turn is not lost.
        left = np.angle(np.exp(1j * (phases - slopes @ shift)))
        weight = np.where(np.abs(left) <= tolerance, weights, 0)
        moments = slopes.T @ (weight[:, None] * slopes)
        if np.linalg.det(moments) <= 0:
            break
        shift = shift + np.linalg.solve(moments, slopes.T @ (weight * left))
    return shift


def _spectrum(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    mean = float(np.sum(image * window) / np.sum(window))
    return np.fft.rfft2((image - mean) * window)


def _frequencies(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    fy, fx = np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1]), indexing="ij")
    return fy, fx


def _overlap(image: np.ndarray, top: int, left: int) -> np.ndarray:
    height, width = image.shape
    return image[max(0, top) : height + min(0, top), max(0, left) : width + min(0, left)]
