"""Training and test pairs for the real runs, from folders of photos."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traiNNer.data.demo import prepare_demo
from traiNNer.imaging.image_file import SUFFIXES, read_image, write_image
from traiNNer.utils.resize import imresize

SCALE = 2
FEW, FEW_SIDE = 4, 64
DONE = "complete"


@dataclass(frozen=True)
class Pairs:
    """A folder of sharp images, and of the same at half the size under the same names."""

    gt: Path
    lq: Path


@dataclass(frozen=True)
class Photos:
    """Training and test data of the runs; `few` are center crops of 4 training photos, to overfit on."""

    train: Pairs
    few: Pairs
    test: Pairs
    test_name: str


def prepare(data: Path | None, test: Path | None, place: Path, test_side: int | None = None) -> Photos:
    """Write every pair into folders below `place`, unless it exists; return them.

    Args:
        data: Folder of sharp photos to train on; the repository's demo photos when None.
        test: Folder of sharp photos to score with; the demo set's two validation photos when None.
        place: Folder to write to.
        test_side: Score only so many pixels in the middle of every photo; all of it when None.
    """
    if data is None or test is None:
        prepare_demo(place / "demo")
    train = _pairs(place / "train", _photos(data or place / "demo/train/hr"))
    few = _pairs(place / "few", _spread(_photos(data or place / "demo/train/hr"), FEW), FEW_SIDE)
    scored = _pairs(place / "test", _photos(test or place / "demo/val/hr"), test_side)
    return Photos(train, few, scored, _name(test.name if test else "demo"))


def _photos(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"{folder}: no images")
    return found


def _spread(photos: list[Path], count: int) -> list[Path]:
    """Return `count` items evenly spaced over the list; all if there are fewer."""
    return photos if len(photos) <= count else [photos[place * len(photos) // count] for place in range(count)]


def _pairs(folder: Path, photos: list[Path], side: int | None = None) -> Pairs:
    pairs = Pairs(folder / "hr", folder / "lr")
    mark = folder / DONE
    listed = "\n".join([str(side), *map(str, photos)])
    if not (mark.exists() and mark.read_text() == listed):
        for photo in photos:
            _write_pair(photo, pairs, side)
        mark.write_text(listed)
    return pairs


def _write_pair(photo: Path, pairs: Pairs, side: int | None) -> None:
    """Write a photo and its half; of `side` x `side` pixels in the middle only, unless that is None."""
    image = read_image(photo)
    height, width = (min(length, side or length) // SCALE * SCALE for length in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    gt = np.ascontiguousarray(image[top : top + height, left : left + width])
    write_image(pairs.gt / f"{photo.stem}.png", gt)
    write_image(pairs.lq / f"{photo.stem}.png", imresize(gt, 1 / SCALE))


def _name(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)
