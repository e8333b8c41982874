"""Random crops, mirrorings and turns of a pair; every draw comes from the generator that is handed in."""

import numpy as np

from traiNNer.utils.resize import enlarging_matrix


def random_place(height: int, width: int, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the top and left of a random square of `size` within an image."""
    return int(rng.integers(0, height - size + 1)), int(rng.integers(0, width - size + 1))


def random_crop(
    lq: np.ndarray, gt: np.ndarray, size: int, scale: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same random square of both images: `size` LQ pixels, `size * scale` GT pixels wide (views)."""
    top, left = random_place(lq.shape[0], lq.shape[1], size, rng)
    small = lq[top : top + size, left : left + size]
    large = gt[top * scale : (top + size) * scale, left * scale : (left + size) * scale]
    return small, large


def random_turn(
    lq: np.ndarray, gt: np.ndarray, use_hflip: bool, use_rot: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror and turn both images alike: all eight positions of a square are equally likely with both switched on."""
    # Drawn in any case, so that switching one off does not change the draws of the other.
    mirrored, quarters = bool(rng.integers(0, 2)), int(rng.integers(0, 4))

    def apply(image: np.ndarray) -> np.ndarray:
        if use_hflip and mirrored:
            image = image[:, ::-1]
        if use_rot:
            image = np.rot90(image, quarters)
        return np.ascontiguousarray(image)

    return apply(lq), apply(gt)


def bicubic_error(lq: np.ndarray, gt: np.ndarray, scale: int) -> float:
    """Return the mean absolute difference, in shares of white, between bicubic upscaling of a crop and its GT.

    Takes H, W, 3 and sH, sW, 3 integers. Two small matrix products, as it is asked for every crop that is compared.
    """
    height, width, channels = lq.shape
    rows, columns = (enlarging_matrix(side, scale).astype(np.float32) for side in (height, width))
    wide = rows @ lq.reshape(height, -1).astype(np.float32)
    large = np.matmul(columns, wide.reshape(-1, width, channels)) / np.iinfo(lq.dtype).max
    return float(np.abs(large - gt.astype(np.float32) / np.iinfo(gt.dtype).max).mean())
