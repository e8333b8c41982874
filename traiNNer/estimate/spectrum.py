"""The power spectrum of a photo as a law with four unknowns, and what they are in an image.

Photos have power that falls with frequency f as f^-b with b near 2.5 (Field 1987 and later). A Gaussian blur of width s
multiplies it by exp(-(2 pi s f)^2), and noise that came afterwards adds the same to every frequency.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

TILE = 96
RINGS = 30
NEAR_AXES = 1.5
"""Bins beside the axes that are left out: straight edges and JPEG blocks are there."""
REFERENCE = 0.1
"""Frequency in cycles per pixel at which the power of the photo is counted."""
SLOPE, SLOPE_SPREAD = 2.5, 0.35
PRECISE = 0.02
"""How exactly a band that holds noise alone shows its power, in its logarithm."""
STARTS = (0.5, 1.2, 2.5)
ROUNDS = 4
LEAST, MOST = (-30.0, 0.0, 0.0, -12.0), (60.0, 6.0, 6.0, 12.0)
ROUNDING = 1 / 12
"""Variance that rounding to whole steps adds."""

Response = Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray]
"""What bands show of a power spectrum, a function of frequencies in cycles per pixel."""


@dataclass(frozen=True)
class Bands:
    """Measured power.

    Args:
        power: of each band, above 0.
        response: what the bands would show of any spectrum.
        spread: how far photos differ from the law, in the logarithm of a band.
    """

    power: np.ndarray
    response: Response
    spread: float


@dataclass(frozen=True)
class Fit:
    """The law that fits best.

    Args:
        blur: width of the Gaussian in pixels.
        noise: standard deviation of the noise, rounding included.
    """

    blur: float
    noise: float


def fit(bands: Bands, noise: float, noise_spread: float) -> Fit:
    """Return the law that fits the bands best.

    Args:
        bands: what was measured.
        noise: what is known of the noise: its standard deviation without rounding.
        noise_spread: how far the logarithm of its variance may be from that.
    """
    from scipy.optimize import least_squares  # takes long to import

    seen = np.log(bands.power)
    expected = np.log(noise**2 + ROUNDING)
    best, least = np.zeros(4), np.inf
    for width in STARTS:
        start = np.array([0.0, SLOPE, width, expected])
        start[0] = np.mean(seen - np.log(_photo(bands, start)))
        weights = np.full(len(seen), 1 / bands.spread)

        def residuals(found: np.ndarray, weights: np.ndarray) -> np.ndarray:
            shown = np.log(_photo(bands, found) + np.exp(found[3]))
            known = [(found[1] - SLOPE) / SLOPE_SPREAD * np.sqrt(3), (found[3] - expected) / noise_spread]
            return np.concatenate([(shown - seen) * weights, known])

        for _ in range(ROUNDS):
            start = np.clip(start, np.add(LEAST, 1e-6), np.subtract(MOST, 1e-6))
            result = least_squares(residuals, start, bounds=(LEAST, MOST), args=(weights,))
            start = result.x
            photo = _photo(bands, start)
            weights = 1 / np.hypot(bands.spread * photo / (photo + np.exp(start[3])), PRECISE)
        cost = 2 * result.cost - 2 * np.log(weights).sum()
        if cost < least:
            best, least = start, cost
    return Fit(blur=float(best[2]), noise=float(np.exp(best[3] / 2)))


def _photo(bands: Bands, law: np.ndarray) -> np.ndarray:
    def power(frequency: np.ndarray) -> np.ndarray:
        fall = law[1] * np.log(frequency / REFERENCE) + (2 * np.pi * law[2] * frequency) ** 2
        return np.exp(np.maximum(law[0] - fall, -60.0))

    return bands.response(power)


def tile_power(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean power of windowed tiles by rings of frequency, and the frequency of each."""
    window = np.hanning(TILE + 2)[1:-1]
    window = np.outer(window, window)
    tiles = np.lib.stride_tricks.sliding_window_view(plane, (TILE, TILE))[:: TILE // 2, :: TILE // 2]
    total, count = np.zeros((TILE, TILE // 2 + 1)), 0
    for tile in tiles.reshape(-1, TILE, TILE):
        total += np.abs(np.fft.rfft2((tile - tile.mean()) * window)) ** 2
        count += 1
    total /= count * np.square(window).sum()
    down, across = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(down, across)
    off_axes = (np.abs(down) * TILE > NEAR_AXES) & (across * TILE > NEAR_AXES)
    ends = np.linspace(2.5 / TILE, 0.5, RINGS + 1)
    rings = [off_axes & (radius >= first) & (radius < last) for first, last in pairwise(ends)]
    rings = [ring for ring in rings if ring.any()]
    return np.array([total[ring].mean() for ring in rings]), np.array([radius[ring].mean() for ring in rings])
