"""Random crops, mirrorings and turns of a pair; every draw comes from the generator that is handed in.

Images are H, W, 3; LQ may be a clip, T, H, W, 3, of which every frame is treated alike.
"""

import cv2
import numpy as np

from traiNNer.utils.resize import enlarging_matrix

FLIPS = {(True, False): 0, (False, True): 1, (True, True): -1}
"""OpenCV's numbers for mirroring (down, right)."""


def random_place(height: int, width: int, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the top and left of a random square of `size` within an image."""
    return int(rng.integers(0, height - size + 1)), int(rng.integers(0, width - size + 1))


def random_turn(
    lq: np.ndarray, gt: np.ndarray, use_hflip: bool, use_rot: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror and turn both images alike: all eight positions of a square are equally likely with both switched on.

    Returns views: `copy_turned` writes one down.
    """
    # Drawn in any case, so that switching one off does not change the draws of the other.
    mirrored, quarters = bool(rng.integers(0, 2)), int(rng.integers(0, 4))

    def apply(image: np.ndarray) -> np.ndarray:
        if use_hflip and mirrored:
            image = image[..., ::-1, :]
        if use_rot:
            image = _quarter_turns(image, quarters)
        return image

    return apply(lq), apply(gt)


def _quarter_turns(image: np.ndarray, count: int) -> np.ndarray:
    """Return what `np.rot90` returns, which takes far longer to find it out."""
    if count == 2:
        return image[..., ::-1, ::-1, :]
    swapped = image.swapaxes(-3, -2) if count else image
    return (swapped, swapped[..., ::-1, :, :], swapped, swapped[..., ::-1, :])[count]


def copy_turned(view: np.ndarray, into: np.ndarray) -> None:
    """Copy an H, W, 3 image that may be mirrored or turned into one that lies in order, of the same shape and type.

    Three values at a time are too few for a plain copy: OpenCV turns images about five times as fast.
    """
    if view.ndim != 3 or view.shape[2] != 3 or view.dtype != into.dtype or view.dtype not in (np.uint8, np.uint16):
        into[...] = view
        return
    down, right = (stride < 0 for stride in view.strides[:2])
    upright = view[:: -1 if down else 1, :: -1 if right else 1]
    if abs(view.strides[0]) >= abs(view.strides[1]):
        if down or right:
            cv2.flip(upright, FLIPS[down, right], dst=into)
        else:
            into[...] = view
        return
    upright = upright.swapaxes(0, 1)
    if down and right:
        cv2.flip(cv2.transpose(upright), -1, dst=into)
    elif down or right:
        cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE if down else cv2.ROTATE_90_CLOCKWISE, dst=into)
    else:
        cv2.transpose(upright, dst=into)


def bicubic_error(lq: np.ndarray, gt: np.ndarray, scale: int) -> float:
    """Return the mean absolute difference, in shares of white, between bicubic upscaling of a crop and its GT.

    Takes H, W, 3 and sH, sW, 3 integers. Two small matrix products, as it is asked for every crop that is compared.
    """
    height, width, channels = lq.shape
    rows, columns = (enlarging_matrix(side, scale).astype(np.float32) for side in (height, width))
    wide = rows @ lq.reshape(height, -1).astype(np.float32)
    large = np.matmul(columns, wide.reshape(-1, width, channels)) / np.iinfo(lq.dtype).max
    return float(np.abs(large - gt.astype(np.float32) / np.iinfo(gt.dtype).max).mean())
