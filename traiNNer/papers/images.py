"""The images of a set as published tables use them, and bicubic upscaling as they computed it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traiNNer.data.files.folders import no_images
from traiNNer.data.files.listing import list_images
from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.image_file import ImageError, read_seen
from traiNNer.metrics.ssim import WINDOW
from traiNNer.utils.color import rgb_to_y
from traiNNer.utils.resize import imresize


@dataclass(frozen=True)
class ImageSet:
    """A set by its name, and its ground truth."""

    name: str
    files: dict[str, Path]


@dataclass(frozen=True)
class Picture:
    """One image: ground truth and LQ, H, W, 3 uint8, and whether the file is gray."""

    key: str
    target: np.ndarray
    lq: np.ndarray
    is_gray: bool


def parse_set(text: str) -> ImageSet:
    """Read `Set5=folder`.

    Raises:
        ConfigError: it is written otherwise.
        DataError: there is no such folder, or it holds no images.
    """
    name, equals, place = text.partition("=")
    if not (name and equals and place):
        raise ConfigError(f"--set {text}: write NAME=FOLDER, e.g. --set Set5=data/Set5/HR")
    folder = Path(place).expanduser()
    if not folder.is_dir():
        raise DataError(f"--set {name}: {folder} is not a folder")
    files = list_images(folder).files
    if not files:
        raise no_images(f"--set {name}", folder)
    return ImageSet(name, files)


def pictures(images: ImageSet, scale: int) -> Iterator[Picture]:
    """Yield every image: cut to multiples of the scale, and shrunk as MATLAB does it, rounded to 8 bits.

    Raises:
        DataError: an image cannot be read, or is too small for its score.
    """
    for key, file in images.files.items():
        try:
            seen, header = read_seen(file)
        except ImageError as error:
            raise DataError(f"{images.name}: {error}") from None
        image = seen.colors if seen.colors.dtype == np.uint8 else np.round(seen.colors / 257).astype(np.uint8)
        height, width = (side // scale * scale for side in image.shape[:2])
        if min(height, width) < WINDOW + 2 * scale:
            raise DataError(f"{images.name}: {file} is too small for SSIM: {image.shape[1]}x{image.shape[0]} pixels")
        target = np.ascontiguousarray(image[:height, :width])
        yield Picture(key, target, imresize(target, 1 / scale), header.is_gray)


def luma_of(picture: Picture) -> np.ndarray:
    """Return the luma that published tables of MATLAB's time compare: rounded; of a gray file its own levels."""
    return picture.target[:, :, 0].astype(np.float64) if picture.is_gray else np.round(rgb_to_y(picture.target))


def published_bicubic(picture: Picture, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Return luma and its bicubic upscaling, H, W each, as the published rows of bicubic were computed.

    The luma alone is shrunk and enlarged, and nothing is rounded in between.
    """
    luma = luma_of(picture)
    enlarged = imresize(imresize(luma, 1 / scale), size=luma.shape[:2])
    return luma, np.clip(np.round(enlarged), 0, 255)
