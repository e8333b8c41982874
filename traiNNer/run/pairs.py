"""Whether LQ and GT of a set show the same picture: a handful of pairs are compared before a run.

Both are shrunk to a grid of at most 16 cells a side, and the slopes of their luma are correlated. Measured on BSDS400
and Set5, at 2x and 4x: pairs made by bicubic, nearest, blur, noise, JPEG of quality 10 or all of these have 0.6 to 1 as
whole images; two different pictures have 0.25 or less in 99 of 100 cases. Small crops of little contrast under strong
noise have less, so nothing is reported of a set whose better pairs are neither clearly equal nor clearly different.

Pictures of one composition (textures, tiles of one pattern) are alike as a whole. There fine detail decides: an LQ that
has the detail of another GT much more than that of its own belongs to the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from traiNNer.batch import ImageSet
from traiNNer.errors import DataError
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
CROP = 128
"""Largest side of the middle part, in LQ pixels, whose fine detail is compared."""
LEAST_DETAIL = 1.0
"""Levels of 255, standard deviation."""
NAMES_SHOWN = 5
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def different_pictures(sets: Mapping[str, ImageSet]) -> list[str]:
    """Return one warning for each set in which some of the pairs that were compared show different pictures."""
    return [warning for key, dataset in sets.items() if (warning := _compare(f"datasets.{key}", dataset))]


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two files, how much they are alike as a whole, and their fine detail; None where there is none to compare."""

    gt: Path
    lq: Path
    likeness: float | None
    lq_detail: np.ndarray | None
    gt_detail: np.ndarray | None

    @property
    def says_something(self) -> bool:
        return self.likeness is not None or not (self.lq_detail is None or self.gt_detail is None)


def _read(dataset: ImageSet, is_trained: bool) -> list[_Pair]:
    """Read a handful of pairs, evenly spread over the set."""
    files = list(dataset.paired_files().values())
    count = min(COMPARED, len(files))
    pairs: list[_Pair] = []
    pixels = 0
    for place in range(count):
        index = place * len(files) // count
        gt_file, lq_file = files[index]
        if pixels > MOST_PIXELS:
            break
        try:
            if is_trained or len(files) != len(dataset):
                gt, lq = read_image(gt_file), read_image(lq_file)
            else:  # decoded when the set was opened, and mostly still in memory
                sample = dataset.whole(index)
                gt, lq = sample.gt, sample.middle
        except (ImageError, DataError):
            continue  # a damaged image is replaced and counted where it is trained on
        if gt is None or lq is None:
            continue
        pixels += gt.shape[0] * gt.shape[1]
        details = _detail(lq, lq.shape[:2]), _detail(gt, lq.shape[:2])
        pairs.append(_Pair(gt_file, lq_file, picture_likeness(lq, gt), *details))
    return [pair for pair in pairs if pair.says_something]


def _compare(title: str, dataset: ImageSet) -> str | None:
    pairs = _read(dataset, title.startswith("datasets.train"))
    alike = [(pair.likeness, pair.gt, pair.lq) for pair in pairs if pair.likeness is not None]
    wrong = [(gt, lq) for likeness, gt, lq in alike if likeness < DIFFERENT]
    # Of a set that is degraded beyond recognition, a low value says nothing.
    if wrong and DIFFERENT <= np.quantile([likeness for likeness, *_ in alike], 0.75) < CLEARLY_EQUAL:
        wrong = []
    moved = _moved(pairs)
    wrong = [(pair.gt, pair.lq) for pair in pairs if (pair.gt, pair.lq) in wrong or pair in moved]
    if not wrong:
        return None
    more = f"; and {len(wrong) - NAMES_SHOWN} more" if len(wrong) > NAMES_SHOWN else ""
    named = "; ".join(f"{gt} and {lq}" for gt, lq in wrong[:NAMES_SHOWN])
    return (
        f"{title}: {len(wrong)} of {len(pairs)} compared pairs show different pictures: {named}{more}. Check the names "
        "of the files, and that the lists of folders in dataroot_gt and dataroot_lq have the same order."
    )


def _moved(pairs: Sequence[_Pair]) -> list[_Pair]:
    """Return the pairs whose LQ has the fine detail of the GT of another pair, and at most half as much of its own."""
    found = []
    for pair in pairs:
        if pair.lq_detail is None or pair.gt_detail is None:
            continue
        own, theirs = _correlation(pair.lq_detail, pair.gt_detail), 0.0
        for one in pairs if own < CLEARLY_EQUAL else ():
            if one.gt_detail is not None and one.gt_detail.shape == pair.lq_detail.shape:
                theirs = max(theirs, _correlation(pair.lq_detail, one.gt_detail))
        if theirs >= max(CLEARLY_EQUAL, 2 * own):
            found.append(pair)
    return found


def _detail(image: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """Return what a blur leaves out of the luma in the middle of an image that is shrunk to `size`; None if nothing."""
    scale = max(1, image.shape[0] // size[0])
    height, width = (min(CROP, side) for side in size)
    top, left = ((side - part) // 2 * scale for side, part in zip(size, (height, width), strict=True))
    part = image[top : top + height * scale, left : left + width * scale]
    luma = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) @ LUMA
    luma /= np.float32(257 if image.dtype == np.uint16 else 1)
    detail = luma
    for _ in range(2):  # once leaves a rest of the waves that a texture consists of
        detail = detail - cv2.blur(detail, (3, 3))
    return detail if detail.std() >= LEAST_DETAIL else None


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(one * other) / np.sqrt(np.mean(one**2) * np.mean(other**2)))


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
