"""How an image that was a JPEG stored its color: in full, at half the width, or at half the width and height.

Of the three, the right one leaves color in the fewest coefficients: quantization has set most to zero in its blocks,
and only there.
"""

import numpy as np

BLOCK = 8
LEFT = 1.5
"""Levels from which a coefficient counts: rounding to red, green and blue leaves less."""
MISFIT = 1.2
"""Root mean square in levels by which color may differ from what a way of storing it could hold."""
WAYS = {"444": (1, 1), "422": (1, 2), "420": (2, 2)}
LEAST_SIDE = 64


def subsampling(rgb: np.ndarray) -> str | None:
    """Return `444`, `422` or `420` for an H, W, 3 image in 0..255 that was a JPEG, its blocks beginning in the corner.

    None where the image is small or has no color.
    """
    height, width = (side // (2 * BLOCK) * 2 * BLOCK for side in rgb.shape[:2])
    if min(height, width) < LEAST_SIDE:
        return None
    planes = _chroma(rgb[:height, :width].astype(np.float64))
    if max(float(plane.std()) for plane in planes) < LEFT:
        return None
    costs = {name: cost for name, way in WAYS.items() if (cost := _cost(planes, *way)) is not None}
    return min(costs, key=lambda name: costs[name]) if costs else None


def _chroma(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    red, green, blue = (rgb[..., place] for place in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (blue - luma) / 1.772, (red - luma) / 1.402


def _cost(planes: tuple[np.ndarray, np.ndarray], down: int, across: int) -> float | None:
    """Return how many coefficients there are for each pixel, None where the planes cannot have been stored so."""
    count, misfit = 0.0, 0.0
    for plane in planes:
        stored = plane
        if down == 2:
            stored = _halved(stored)
        if across == 2:
            stored = _halved(stored.T).T
        shown = stored
        if across == 2:
            shown = _doubled(shown.T).T
        if down == 2:
            shown = _doubled(shown)
        misfit = max(misfit, float(np.sqrt(np.mean(np.square(shown - plane)))))
        rows, columns = (side // BLOCK for side in stored.shape)
        blocks = stored[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
        coefficients = _DCT @ blocks @ _DCT.T
        count += np.count_nonzero(np.abs(coefficients) > LEFT) / plane.size
    return None if misfit > MISFIT else count


def _doubled(lines: np.ndarray) -> np.ndarray:
    """Return twice as many rows, as libjpeg makes them: three quarters of the nearer, one of the farther."""
    before = np.concatenate([lines[:1], lines[:-1]])
    after = np.concatenate([lines[1:], lines[-1:]])
    return np.stack([(3 * lines + before) / 4, (3 * lines + after) / 4], axis=1).reshape(-1, *lines.shape[1:])


def _halved(lines: np.ndarray) -> np.ndarray:
    """Return the rows from which doubling makes these, in the sense of least squares."""
    count = len(lines) // 2
    return np.linalg.lstsq(_doubled(np.eye(count)), lines, rcond=None)[0]


def _cosines() -> np.ndarray:
    places = np.arange(BLOCK)
    matrix = np.cos(np.pi / BLOCK * (places + 0.5) * places[:, None]) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _cosines()
