"""Whether an image was enlarged, and by how much: interpolation leaves a rhythm in the differences of neighbors.

Interpolated pixels are weighted sums of their neighbors, with weights that repeat with the grid of the original; so
does how much their second differences vary (Gallagher 2005); for a factor of 2 only the first ones do. The spectrum of
that variation along an axis has a peak at one over the factor; factors between 1 and 2 lie beyond its end, and are
folded back.
"""

from dataclasses import dataclass

import numpy as np

from traiNNer.estimate.spectrum import ROUNDING, TILE, tile_power

LENGTH = 4096
SLOWEST, SLOW = 0.13, 0.23
"""Cycles per pixel from which peaks count: content varies slowly. Below `SLOW` only those of factors under 1.3 do."""
SMOOTH = 9
LEAST_SIDE = 64
CLEAR, CLEAR_SLOW, CLEAR_ALONE = 5.0, 8.0, 14.0
"""How many times a peak exceeds the median, where both axes have it, also a slow one, and where one alone does."""
SAME = 0.006
EIGHTH = 1 / 8
HALF = 0.45
"""Cycles per pixel from which first differences are taken; below, photos have a lot in them."""
COMB = 2.0
"""How many times a peak at an eighth must exceed the others at odd ones: JPEG blocks make all alike."""
FLAT = 0.05
PHOTO = 2.5
"""Power of the frequency by which the power of photos falls."""
EMPTY = 1.7
"""By how much more the logarithm of the power falls beyond the limit of the larger factor, where it is that one."""
EMPTIEST = 0.9
BURIED = 0.05
"""Share of the power of noise that may be left when it is subtracted."""


@dataclass(frozen=True)
class _Spectrum:
    frequencies: np.ndarray
    strength: np.ndarray

    def at(self, frequency: float, width: float) -> float:
        near = np.abs(self.frequencies - frequency) <= width
        return float(self.strength[near].max(initial=0))


def enlargement(plane: np.ndarray, noise: float = 0.0, is_jpeg: bool = False) -> float | None:
    """Return by what factor (1.15 to 4.3) an H, W plane in 0..255 was enlarged; None where nothing shows it.

    Args:
        plane: the luma.
        noise: standard deviation of what was added afterwards.
        is_jpeg: whether it was compressed afterwards: factors of 1.6 and 2.67 have the rhythm of its blocks, and are
            not found then.
    """
    if min(plane.shape) < LEAST_SIDE:
        return None
    spectra = [_rhythm(plane, axis) for axis in (0, 1)]
    peaks = [_peak(spectrum, plane.shape[axis], is_jpeg) for axis, spectrum in enumerate(spectra)]
    (first, one), (second, other) = peaks
    if abs(first - second) <= SAME and min(one, other) >= CLEAR:
        frequency = (first * one + second * other) / (one + other)
    elif max(one, other) >= CLEAR_ALONE and min(first, second) >= SLOW:
        frequency = first if one > other else second
    else:
        return None
    if frequency < SLOW:
        return 1 / (1 - frequency) if min(one, other) >= CLEAR_SLOW else None
    return _unfolded(plane, frequency, noise)


def _rhythm(plane: np.ndarray, axis: int) -> _Spectrum:
    frequencies = np.fft.rfftfreq(LENGTH)
    fast = frequencies >= EIGHTH / 2
    strengths = []
    for order in (1, 2):
        profile = np.log(np.abs(np.diff(plane, n=order, axis=axis)).mean(axis=1 - axis) + FLAT)
        padded = np.pad(profile, SMOOTH // 2, mode="reflect")
        profile = profile - np.convolve(padded, np.ones(SMOOTH) / SMOOTH, "valid")
        strength = np.abs(np.fft.rfft(profile * np.hanning(len(profile)), LENGTH))[fast]
        strengths.append(strength / max(float(np.median(strength)), 1e-12))
    return _Spectrum(frequencies[fast], np.where(frequencies[fast] < HALF, strengths[1], strengths[0]))


def _peak(spectrum: _Spectrum, side: int, is_jpeg: bool) -> tuple[float, float]:
    """Return the frequency and strength of the highest peak, without those that JPEG blocks make."""
    width = 2.5 / side
    eighths = [spectrum.at(number * EIGHTH, width) for number in range(1, 5)]
    strength = spectrum.strength.copy()
    for number, found in enumerate(eighths, start=1):
        others = [eighths[odd - 1] for odd in (1, 3) if odd != number]
        if found < COMB * max(others) or (is_jpeg and number % 2):
            strength[np.abs(spectrum.frequencies - number * EIGHTH) <= width] = 0
    strength[spectrum.frequencies < SLOWEST] = 0
    place = int(np.argmax(strength))
    return float(spectrum.frequencies[place]), float(strength[place])


def _unfolded(plane: np.ndarray, frequency: float, noise: float) -> float:
    """Return 1 / f or 1 / (1 - f): by the larger factor, hardly any power lies beyond its limit."""
    larger, smaller = 1 / frequency, 1 / (1 - frequency)
    limit, next_limit = 0.5 / larger, 0.5 / smaller
    if min(plane.shape) < TILE or next_limit < 1.1 * limit:
        return larger
    power, frequencies = tile_power(plane)
    inside = _mean(power, frequencies, 0.4 * limit, 0.8 * limit)
    first = min(1.25 * limit, 0.9 * next_limit)
    beyond = _mean(power, frequencies, first, max(0.95 * next_limit, 1.1 * first))
    # Quantization adds noise, too: no more than the emptiest ring holds.
    floor = max(noise**2 + ROUNDING, EMPTIEST * float(power.min()))
    left = max(beyond[0] - floor, BURIED * floor)
    fall = np.log(max(inside[0] - floor, floor) / left) - PHOTO * np.log(beyond[1] / inside[1])
    return larger if fall > EMPTY else smaller


def _mean(power: np.ndarray, frequencies: np.ndarray, start: float, end: float) -> tuple[float, float]:
    """Return the mean power of the rings between two frequencies, at least of the nearest one, and their frequency."""
    inside = (frequencies >= start) & (frequencies <= end)
    if not inside.any():
        inside[np.argmin(np.abs(frequencies - (start + end) / 2))] = True
    return float(power[inside].mean()), float(frequencies[inside].mean())
