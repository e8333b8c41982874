"""A small set of real photos for the first run, which ship with the package: no download."""

import shutil
import tempfile
from pathlib import Path

from traiNNer.errors import CannotWrite, DataError
from traiNNer.imaging.image_file import read_image, write_image
from traiNNer.utils.resize import imresize

PHOTOS = Path(__file__).parent / "photos"
"""Photos in the public domain, or CC0: `LICENSES.md` there."""
TRAIN = ("coffee.webp", "rocket.jpg", "brick.webp", "grass.webp", "gravel.webp")
VAL = ("astronaut.webp", "chelsea.webp")
SCALE = 2
MULTIPLE = 12  # sides that every scale up to 4 divides


def prepare_demo(root: Path) -> str:
    """Write `root/{train,val}/{hr,lr}`: photos, and the same at half the size by antialiased bicubic.

    Each of the four folders is written aside and renamed, so that a kill leaves no half-made one; one that exists is
    left as it is. Returns one line for the log.

    Raises:
        DataError: the installed package has no photos.
        CannotWrite: the folder cannot be written.
    """
    aside = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
        for part, names in (("train", TRAIN), ("val", VAL)):
            for name in names:
                _write_pair(PHOTOS / name, aside / part)
            _move_missing(aside / part, root / part)
    except OSError as error:
        raise CannotWrite(f"Cannot write the demo set to {root} ({error.strerror}).") from None
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)
    return f"Demo set: {len(TRAIN)} photos to train on and {len(VAL)} to validate with, in {root}"


def _move_missing(made: Path, part: Path) -> None:
    part.mkdir(exist_ok=True)
    for folder in made.iterdir():
        if not (part / folder.name).exists():
            folder.rename(part / folder.name)


def _write_pair(photo: Path, folder: Path) -> None:
    if not photo.is_file():
        raise DataError(f"The demo photo {photo} is missing: reinstall traiNNer, or use photos of your own.")
    image = read_image(photo)
    height, width = (side - side % MULTIPLE for side in image.shape[:2])
    gt = image[:height, :width]
    write_image(folder / "hr" / f"{photo.stem}.png", gt)
    write_image(folder / "lr" / f"{photo.stem}.png", imresize(gt, 1 / SCALE))
