"""Whether LQ and GT of a set show the same picture: a handful of pairs are compared before a run.

Both are shrunk to a grid of at most 16 cells a side, and the slopes of their luma are correlated. Measured on BSDS400
and Set5, at 2x and 4x: pairs made by bicubic, nearest, blur, noise, JPEG of quality 10 or all of these have 0.6 to 1 as
whole images; two different pictures have 0.25 or less in 99 of 100 cases. Small crops of little contrast under strong
noise have less, so nothing is reported of a set whose better pairs are neither clearly equal nor clearly different.
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from traiNNer.batch import ImageSet
from traiNNer.imaging.image_file import ImageError, read_image

COMPARED = 16
MOST_PIXELS = 40e6
"""Once so many pixels of GT are decoded, no further pair is."""
GRID = 16
LEAST_SIDE = 24
"""LQ pixels; of smaller images strong noise leaves too little."""
LEAST_SLOPE = 6.0
"""Levels of 255 from cell to cell; what is flatter shows nothing to compare."""
DIFFERENT, CLEARLY_EQUAL = 0.2, 0.6
NAMES_SHOWN = 5
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def different_pictures(sets: Mapping[str, ImageSet]) -> list[str]:
    """Return one warning for each set in which some of the pairs that were compared show different pictures."""
    return [warning for key, dataset in sets.items() if (warning := _compare(f"datasets.{key}", dataset))]


def _compare(title: str, dataset: ImageSet) -> str | None:
    files = list(dataset.paired_files().values())
    count = min(COMPARED, len(files))
    alike: list[tuple[float, Path, Path]] = []
    pixels = 0
    for place in range(count):
        gt_file, lq_file = files[place * len(files) // count]
        if pixels > MOST_PIXELS:
            break
        try:
            gt, lq = read_image(gt_file), read_image(lq_file)
        except ImageError:
            continue  # a damaged image is replaced and counted where it is trained on
        pixels += gt.shape[0] * gt.shape[1]
        likeness = picture_likeness(lq, gt)
        if likeness is not None:
            alike.append((likeness, gt_file, lq_file))
    wrong = [(gt, lq) for likeness, gt, lq in alike if likeness < DIFFERENT]
    # Of a set that is degraded beyond recognition, a low value says nothing.
    if not wrong or DIFFERENT <= np.quantile([likeness for likeness, *_ in alike], 0.75) < CLEARLY_EQUAL:
        return None
    more = f"; and {len(wrong) - NAMES_SHOWN} more" if len(wrong) > NAMES_SHOWN else ""
    named = "; ".join(f"{gt} and {lq}" for gt, lq in wrong[:NAMES_SHOWN])
    return (
        f"{title}: {len(wrong)} of {len(alike)} compared pairs show different pictures: {named}{more}. Check the names "
        "of the files, and that the lists of folders in dataroot_gt and dataroot_lq have the same order."
    )


def picture_likeness(lq: np.ndarray, gt: np.ndarray) -> float | None:
    """Return how much two H, W, 3 images show the same: about 1 for the same picture, about 0 for unrelated ones.

    None where it cannot be determined: LQ with a side below 24 pixels, or one of the two nearly flat.
    """
    height, width = lq.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return None
    factor = GRID / max(height, width)
    size = max(4, round(width * factor)), max(4, round(height * factor))
    small, large = (_slopes(image, size) for image in (lq, gt))
    powers = float(np.mean(small**2)), float(np.mean(large**2))
    if min(powers) < LEAST_SLOPE**2:
        return None
    return float(np.mean(small * large) / np.sqrt(powers[0] * powers[1]))


def _slopes(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    levels = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    luma = levels @ LUMA / np.float32(257 if image.dtype == np.uint16 else 1)
    slopes = np.concatenate([np.diff(luma, axis=axis).ravel() for axis in (0, 1)])
    return slopes - slopes.mean()
