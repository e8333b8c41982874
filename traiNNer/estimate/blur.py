"""How blurred an image is: the width of the Gaussian that its spectrum shows, beneath noise or JPEG compression."""

import numpy as np

from traiNNer.estimate.spectrum import TILE, Bands, Fit, fit, tile_power

TILES_DIFFER, BLOCKS_DIFFER = 0.15, 0.2
NOISE_KNOWN, NOISE_OPEN = 0.1, 2.0
BLOCK, GRID = 8, 64
LEAST_USED, LEAST_SHARE, LEAST_FREQUENCIES, LEAST_BLOCKS = 30, 0.02, 5, 64


def fit_pixels(plane: np.ndarray, noise: float) -> Fit | None:
    """Return the blur and noise of an H, W plane in 0..255; None where it is smaller than a tile, or flat.

    Args:
        plane: the luma.
        noise: its noise as the patches show it.
    """
    if min(plane.shape) < TILE:
        return None
    power, frequencies = tile_power(plane)
    if power.min() <= 0:
        return None
    return fit(Bands(power, lambda law: law(frequencies), TILES_DIFFER), noise, NOISE_KNOWN)


def fit_jpeg(plane: np.ndarray, steps: np.ndarray) -> Fit | None:
    """Return the blur and noise that an H, W plane had before it was compressed; None where too little is left.

    The power of each frequency of the cosine transform is counted on the multiples of its step, where the step is small
    enough to leave some of it, and compared with what the transform makes of a spectrum.

    Args:
        plane: luma in 0..255, its blocks beginning in the corner.
        steps: the 8 x 8 steps of the quantization.
    """
    height, width = (side // BLOCK for side in plane.shape)
    blocks = plane[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK).swapaxes(1, 2)
    blocks = blocks[(blocks.min(axis=(2, 3)) > 0) & (blocks.max(axis=(2, 3)) < 255)]
    if len(blocks) < LEAST_BLOCKS:
        return None
    multiples = np.rint(_DCT @ (blocks - 128.0) @ _DCT.T / steps)
    used = np.count_nonzero(multiples, axis=0)
    usable = used >= max(LEAST_USED, LEAST_SHARE * len(blocks))
    usable[0, 0] = False
    if usable.sum() < LEAST_FREQUENCIES:
        return None
    power = (np.square(multiples).mean(axis=0) * steps**2)[usable]
    bands = Bands(power, lambda law: (_SEEN @ law(_FREQUENCIES) @ _SEEN.T)[usable], BLOCKS_DIFFER)
    return fit(bands, 1.0, NOISE_OPEN)


def _cosines() -> np.ndarray:
    places = np.arange(BLOCK)
    matrix = np.cos(np.pi / BLOCK * (places + 0.5) * places[:, None]) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _cosines()
# A frequency and its negative show the same: each pair counts twice.
_SEEN = np.abs(np.fft.rfft(_DCT, GRID, axis=1)) ** 2 / GRID
_SEEN[:, 1:-1] *= 2
_FREQUENCIES = np.maximum(np.hypot(np.fft.rfftfreq(GRID)[:, None], np.fft.rfftfreq(GRID)[None]), 0.5 / GRID)
