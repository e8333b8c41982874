"""How much detail an image has at its own size: one that was enlarged, or is all out of focus, has hardly any."""

import cv2
import numpy as np

TILE = 32
LEAST_CONTRAST = 1.0
"""Tiles with less than this many levels of coarse detail (sky, walls) say nothing."""
SHARPEST = 90
"""Percentile of the tiles that speaks for the image: a photo may be out of focus nearly everywhere."""


def detail_ratio(luma: np.ndarray) -> float | None:
    """Return the finest detail of an H, W image in 0..255 by the detail at half its size, in its sharpest tiles.

    Natural images have about as much in one octave as in the next; enlarged ones have a tenth. None where the image
    is too small or too flat to tell.
    """
    if min(luma.shape) < 4 * TILE:
        return None
    half = _halved(luma)
    fine = _tile_rms(luma - _enlarged(half, luma.shape), TILE)
    coarse = _tile_rms(half - _enlarged(_halved(half), half.shape), TILE // 2)
    rows, columns = (min(sides) for sides in zip(fine.shape, coarse.shape, strict=True))
    fine, coarse = fine[:rows, :columns], coarse[:rows, :columns]
    textured = coarse > LEAST_CONTRAST
    if np.count_nonzero(textured) < 4:
        return None
    return float(np.percentile(fine[textured] / coarse[textured], SHARPEST))


def _halved(image: np.ndarray) -> np.ndarray:
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return cv2.resize(image[: size[1] * 2, : size[0] * 2], size, interpolation=cv2.INTER_AREA)


def _enlarged(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    # An odd last row or column is left out by halving; there the enlarged image is off by a fraction of a pixel.
    return cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def _tile_rms(image: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (length // side for length in image.shape)
    tiles = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.sqrt(np.mean(np.square(tiles), axis=(1, 3)))
