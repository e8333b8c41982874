"""Blur kernels of several kinds for a batch, each normalized to a sum of 1."""

import numpy as np
import torch

KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc")


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and rows of a kernel's pixels from its center."""
    axis = np.arange(size, dtype=np.float64) - size // 2
    return np.broadcast_to(axis, (size, size)), np.broadcast_to(axis[:, None], (size, size))


def distances(size: int, sigma_x: np.ndarray, sigma_y: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return the squared Mahalanobis distance of every pixel, B, size, size, of Gaussians turned by `angle` radians."""
    x, y = grid(size)
    cos, sin = (part(angle)[:, None, None] for part in (np.cos, np.sin))
    along, across = cos * x + sin * y, cos * y - sin * x
    return (along / sigma_x[:, None, None]) ** 2 + (across / sigma_y[:, None, None]) ** 2


def gaussian(distance: np.ndarray) -> np.ndarray:
    """Return Gaussian kernels from squared distances."""
    return np.exp(-0.5 * distance)


def generalized(distance: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return generalized Gaussians: exp(-d^beta / 2), which is a Gaussian at beta = 1 (Liu et al. 2020)."""
    return np.exp(-0.5 * distance ** beta[:, None, None])


def plateau(distance: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return kernels with a flat top: 1 / (1 + d^beta)."""
    return 1 / (1 + distance ** beta[:, None, None])


def sinc(size: int, cutoff: np.ndarray) -> np.ndarray:
    """Return circular low-pass filters with a sharp limit at `cutoff` radians per pixel, which ring.

    The transform of a disk: cutoff * J1(cutoff * r) / (2 pi r) (Wang et al., Real-ESRGAN, 2021).
    """
    x, y = grid(size)
    radius = np.hypot(x, y)
    limit = cutoff[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ring = limit * _bessel(limit * radius) / (2 * np.pi * radius)
    return np.where(radius == 0, limit**2 / (4 * np.pi), ring)


def _bessel(x: np.ndarray) -> np.ndarray:
    return torch.special.bessel_j1(torch.from_numpy(x)).numpy()


def cut(kernels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return kernels of at most `sizes` pixels, the rest being 0, with sums of 1."""
    x, y = grid(kernels.shape[-1])
    inside = np.maximum(np.abs(x), np.abs(y)) <= (sizes // 2)[:, None, None]
    kept = np.where(inside, kernels, 0.0)
    return kept / kept.sum(axis=(1, 2), keepdims=True)
