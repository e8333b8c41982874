"""How noisy an image is: the smallest variances of patches where the image is even (after Chen, Zhu and Heng 2015)."""

import cv2
import numpy as np

SIDE, STRIDE = 7, 2
SMOOTHED = 2.5
"""Width in pixels of the Gaussian after which an even place differs from a textured one, whatever the noise."""
# Up to a level in steps of 255, this share of the patches is used: of strong noise texture hides little, and few
# patches would be chosen by their noise.
SHARES = ((6.0, 0.05), (12.0, 0.1))
STRONG = 0.2
LEAST_PATCHES, ENOUGH_PATCHES = 400, 1500
GRAY = 1.0


def noise_level(plane: np.ndarray) -> float | None:
    """Return the standard deviation of white noise in an H, W plane in 0..255; None where it has too few patches.

    Patches of even places are spread in all directions by noise alone: the mean of the small eigenvalues of their
    covariance is its variance. As in the paper, eigenvalues belong to the image as long as the mean of those left lies
    above their median.
    """
    height, width = (side - SIDE + 1 for side in plane.shape)
    if height < 1 or width < 1:
        return None
    patches = _patches(plane).astype(np.float64)
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), SMOOTHED)
    slopes = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(smooth, cv2.CV_32F, 0, 1) ** 2
    texture = _patches(slopes).mean(axis=1)
    # What is clipped has lost its noise.
    usable = (patches.min(axis=1) > 0) & (patches.max(axis=1) < 255)
    patches, texture = patches[usable], texture[usable]
    if len(patches) < LEAST_PATCHES:
        return None
    level = _level(patches, texture, STRONG)
    for limit, share in SHARES:
        if level < limit:
            return _level(patches, texture, min(1.0, max(share, ENOUGH_PATCHES / len(patches))))
    return level


def is_gray(rgb: np.ndarray, level: float) -> bool:
    """Tell whether noise of a level in green, in H, W, 3 in 0..255, is the same in red: their difference has none."""
    difference = noise_level(rgb[..., 0] - rgb[..., 1] + 128)
    return difference is not None and difference < GRAY * level


def _patches(plane: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))[::STRIDE, ::STRIDE]
    return windows.reshape(-1, SIDE * SIDE)


def _level(patches: np.ndarray, texture: np.ndarray, share: float) -> float:
    chosen = patches[texture <= np.quantile(texture, share)]
    variances = np.maximum(np.linalg.eigvalsh(np.cov(chosen.T)), 0)  # ascending
    for count in range(len(variances), 1, -1):
        if variances[:count].mean() <= np.median(variances[:count]):
            return float(np.sqrt(variances[:count].mean()))
    return float(np.sqrt(variances[0]))
