"""How much detail an image has at its own size: one that was enlarged, or is all out of focus, has hardly any."""

import cv2
import numpy as np

TILE = 32
LEAST_CONTRAST = 1.0
"""Tiles with less than this many levels of coarse detail (sky, walls) say nothing."""
SHARPEST = 90
"""Percentile of the tiles that speaks for the image: a photo may be out of focus nearly everywhere."""


def detail_ratio(luma: np.ndarray) -> float | None:
    """Return the finest detail of an H, W image in 0..255 by the coarser detail, in its sharpest tiles.

    Coarser is the detail at half or a quarter of the size, whichever is more. Natural images have about as much in one
    octave as in the next; enlarged ones have a quarter. None where the image is too small or too flat to tell.
    """
    if min(luma.shape) < 4 * TILE:
        return None
    luma = luma[: luma.shape[0] // 8 * 8, : luma.shape[1] // 8 * 8]  # halving three times leaves no rest
    half = _halved(luma)
    quarter = _halved(half)
    octaves = [
        _tile_rms(luma - _enlarged(half, luma.shape), TILE),
        _tile_rms(half - _enlarged(quarter, half.shape), TILE // 2),
        _tile_rms(quarter - _enlarged(_halved(quarter), quarter.shape), TILE // 4),
    ]
    rows, columns = (min(octave.shape[axis] for octave in octaves) for axis in (0, 1))
    fine, *coarser = (octave[:rows, :columns] for octave in octaves)
    # After an enlargement by 4 the next octave is as empty as the finest; the one after that is not.
    coarse = np.maximum(*coarser)
    textured = coarse > LEAST_CONTRAST
    if np.count_nonzero(textured) < 4:
        return None
    return float(np.percentile(fine[textured] / coarse[textured], SHARPEST))


def _halved(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _enlarged(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def _tile_rms(image: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (length // side for length in image.shape)
    tiles = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.sqrt(np.mean(np.square(tiles), axis=(1, 3)))
