"""Whether an image was a strongly compressed JPEG, whatever the file is now: the traces of its quantization.

In a decoded JPEG the DCT coefficients of each frequency lie on multiples of one step (Fan and de Queiroz 2003). The
steps of the low frequencies give the quality on the scale of the usual encoders (IJG, ITU-T T.81 annex K). An image
that was resized after its compression has no such traces.
"""

import numpy as np

BLOCK = 8
LEAST_BLOCKS = 64
# Frequencies (row, column) from the lowest on, without the mean, and their steps at quality 50.
STEPS_AT_50 = {
    (0, 1): 11, (1, 0): 12, (2, 0): 14, (1, 1): 12, (0, 2): 10, (0, 3): 16, (1, 2): 14, (2, 1): 13, (3, 0): 14,
    (4, 0): 18, (3, 1): 17, (2, 2): 16, (1, 3): 19, (0, 4): 24,
}  # fmt: skip
LARGEST_STEP = 60
SMALLEST_STEP = 3
"""Smaller steps drown in the rounding of the decoded pixels; they are qualities of 90 and more."""
BINS_PER_LEVEL, BINS = 4, 2048
LEAST_SAMPLES = 40
REGULAR = 0.6
"""How regularly coefficients lie on multiples: 1 exactly, 0 not at all. Rounding leaves 0.8 at a step of 5."""
LEAST_FREQUENCIES = 4


def jpeg_quality(luma: np.ndarray) -> float | None:
    """Return the quality (1 to about 90) at which an H, W image in 0..255 was once compressed; None without traces."""
    found = [_quality(luma[top:, left:]) for top, left in sorted({(0, 0), _grid(luma)})]
    return min((quality for quality in found if quality is not None), default=None)


def _grid(luma: np.ndarray) -> tuple[int, int]:
    """Return where the blocks begin: an image may have been cropped since."""
    return _phase(np.abs(np.diff(luma, n=3, axis=0)).mean(axis=1)), _phase(
        np.abs(np.diff(luma, n=3, axis=1)).mean(axis=0)
    )


def _phase(profile: np.ndarray) -> int:
    # The third difference at i spans i..i+3; a border between i+1 and i+2 stands out most: a block begins at i+2.
    strength = [float(np.mean(profile[place::BLOCK])) if place < len(profile) else 0.0 for place in range(BLOCK)]
    return (int(np.argmax(strength)) + 2) % BLOCK


def _quality(luma: np.ndarray) -> float | None:
    height, width = (side // BLOCK for side in luma.shape)
    if height * width < LEAST_BLOCKS:
        return None
    blocks = luma[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK).swapaxes(1, 2)
    # Clipped blocks left the grid of their multiples.
    usable = (blocks.min(axis=(2, 3)) > 0) & (blocks.max(axis=(2, 3)) < 255)
    coefficients = _DCT @ (blocks[usable] - 128.0) @ _DCT.T
    places = tuple(np.array(list(STEPS_AT_50)).T)
    steps = _steps(np.abs(coefficients[:, places[0], places[1]]))
    percent = [100 * step / usual for step, usual in zip(steps, STEPS_AT_50.values(), strict=True) if step]
    if len(percent) < LEAST_FREQUENCIES:
        return None
    share = float(np.median(percent))
    return (200 - share) / 2 if share < 100 else 5000 / share


def _steps(sizes: np.ndarray) -> list[int]:
    """Return for each column the largest step on whose multiples the sizes lie that it does not round to zero, or 0."""
    bins = np.minimum((sizes * BINS_PER_LEVEL + 0.5).astype(np.int64), BINS - 1)
    counts = np.stack([np.bincount(column, minlength=BINS) for column in bins.T], axis=1).astype(np.float64)
    counts[-1] = 0  # whatever is larger than the bins reach
    samples = _USED @ counts
    regular = (_WAVES @ counts > REGULAR * samples) & (samples >= LEAST_SAMPLES)
    return [int(_CANDIDATES[column].max(initial=0)) for column in regular.T]


def _dct_matrix() -> np.ndarray:
    places = np.arange(BLOCK)
    matrix = np.cos(np.pi / BLOCK * (places + 0.5) * places[:, None]) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _dct_matrix()
_CANDIDATES = np.arange(SMALLEST_STEP, LARGEST_STEP + 1)
_LEVELS = np.arange(BINS) / BINS_PER_LEVEL
_USED = (0.5 * _CANDIDATES[:, None] < _LEVELS).astype(np.float64)
_WAVES = _USED * np.cos(2 * np.pi / _CANDIDATES[:, None] * _LEVELS)
