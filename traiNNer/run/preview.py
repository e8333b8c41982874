"""What a network will be trained with, before it is: the first crops of a run, and the degradations of a folder."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from traiNNer.batch import ImageSet
from traiNNer.config.options import CommonOptions, TrainOptions
from traiNNer.data.files.listing import list_images
from traiNNer.data.order import at, sample_rng, seed_of_name
from traiNNer.degradations.draws import Notes
from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.image_file import ImageError, read_image, write_image
from traiNNer.run.build import open_dataset
from traiNNer.run.degrader import build_degrader
from traiNNer.utils.files import write_bytes_atomic

CELL, GAP, COLUMNS = 192, 8, 4
STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 2rem 1.5rem; max-width: 96rem; font: 15px/1.5 system-ui, sans-serif; }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)); align-items: start; }
figure { margin: 0; padding: .75rem; border: 1px solid #8884; border-radius: .5rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; }
img { width: 100%; image-rendering: pixelated; display: block; }
small { opacity: .7; overflow-wrap: anywhere; } figcaption { overflow-wrap: anywhere; }
ul { margin: .25rem 0 0; padding-left: 1.1rem; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Crop:
    """A training sample and what was drawn for it, one line for each degradation."""

    key: str
    lq: np.ndarray
    gt: np.ndarray
    drawn: tuple[str, ...]


def preview(options: TrainOptions, book: Logbook, count: int, folder: Path) -> tuple[Path, Path]:
    """Write a contact sheet of the first crops of a run as PNG and HTML. Returns the two files.

    Raises:
        DataError: the images cannot be used.
    """
    files = folder / f"preview_{options.name}.png", folder / f"preview_{options.name}.html"
    notes: Notes = {}
    dataset = open_dataset(options, "train", book, notes)
    crops = list(first_crops(dataset, options, count, notes))
    folder.mkdir(parents=True, exist_ok=True)
    write_image(files[0], sheet(crops))
    write_bytes_atomic(files[1], page(options.name, crops).encode())
    return files


def first_crops(dataset: ImageSet, options: TrainOptions, count: int, notes: Notes) -> Iterator[Crop]:
    """Yield the samples that the loader of a run draws first, in its order."""
    seed = options.manual_seed
    length = len(dataset) * options.datasets["train"].dataset_enlarge_ratio
    for place in range(count):
        notes.clear()
        epoch, index = at(seed, length, place)
        sample = dataset.sample_at(index % len(dataset), sample_rng(seed, epoch, index), 0)
        if sample.middle is None or sample.gt is None:
            raise DataError(f"datasets.train: {sample.key} has no LQ or no HR image, so there is nothing to compare.")
        yield Crop(sample.key, eight_bits(sample.middle), eight_bits(sample.gt), tuple(lines(notes)))


def lines(notes: Notes) -> Iterator[str]:
    """Return what was drawn for one image: `blur: kernel iso, sigma 1.32`."""
    for step, drawn in notes.items():
        yield f"{step}: " + ", ".join(f"{name.replace('_', ' ')} {_spoken(values[0])}" for name, values in drawn)


def _spoken(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)


def eight_bits(image: np.ndarray) -> np.ndarray:
    """Return an H, W, 3 image as uint8."""
    return (image // 257).astype(np.uint8) if image.dtype == np.uint16 else image


def sheet(crops: list[Crop]) -> np.ndarray:
    """Return one picture, H, W, 3 uint8: HR and LQ of every crop beside each other, each pixel as a square."""
    rows = -(-len(crops) // COLUMNS)
    width = min(COLUMNS, len(crops)) * (2 * CELL + 3 * GAP)
    page = np.full((rows * (CELL + GAP) + GAP, width, 3), 24, np.uint8)
    for place, crop in enumerate(crops):
        row, column = divmod(place, COLUMNS)
        top, left = GAP + row * (CELL + GAP), GAP + column * (2 * CELL + 3 * GAP)
        for image in (crop.gt, crop.lq):
            filter_ = cv2.INTER_AREA if image.shape[0] > CELL else cv2.INTER_NEAREST
            page[top : top + CELL, left : left + CELL] = cv2.resize(image, (CELL, CELL), interpolation=filter_)
            left += CELL + GAP
    return page


def page(name: str, crops: list[Crop]) -> str:
    """Return the same as a page that loads nothing from elsewhere, with what was drawn beneath each crop."""
    figures = "\n".join(_figure(crop) for crop in crops)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Preview of {escape(name)}</title>'
        f"<style>{STYLE}</style></head><body><h1>The first crops of {escape(name)}</h1>\n<main>{figures}</main>"
        "</body></html>\n"
    )


def _figure(crop: Crop) -> str:
    images = "".join(
        f'<div><img alt="{label}" src="{_data_uri(image)}">'
        f"<small>{label} {image.shape[1]} x {image.shape[0]}</small></div>"
        for label, image in (("HR", crop.gt), ("LQ", crop.lq))
    )
    drawn = "".join(f"<li>{escape(line)}</li>" for line in crop.drawn)
    return (
        f'<figure><div class="pair">{images}</div><figcaption>{escape(crop.key)}</figcaption><ul>{drawn}</ul></figure>'
    )


def _data_uri(image: np.ndarray) -> str:
    data = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(data).decode()


def degrade_folder(options: CommonOptions, key: str, source: Path, output: Path) -> int:
    """Write what the degradations of a set make of every image below a folder, as PNG. Returns how many.

    An image gets the same as a validation set with these degradations gives it: its seed is its name.

    Raises:
        ConfigError: the set has no degradations.
        DataError: a folder or image cannot be used, or the output folder is not empty.
    """
    choice = options.datasets[key]
    degrader = build_degrader(choice)
    if degrader is None:
        raise ConfigError(f"datasets.{key} has no degradations: write them there, see docs/degradations.md.")
    if not source.is_dir():
        raise DataError(f"{source} is not a folder.")
    if output.exists() and any(output.iterdir()):
        raise DataError(f"{output} is not empty: name a new folder.")
    files = list_images(source).files
    is_made_of_gt = choice.get("dataroot_lq") is None or choice.get("made_of_gt") is not None
    scale = options.scale if is_made_of_gt else 1
    for name, path in files.items():
        try:
            image = read_image(path)
        except ImageError as error:
            raise DataError(str(error)) from None
        height, width = (side // scale for side in image.shape[:2])
        if min(height, width) < 1:
            raise DataError(f"{path} is smaller than the scale {scale}.")
        seed = seed_of_name(name)
        whole = image[: height * scale, : width * scale]
        if is_made_of_gt:
            whole = degrader.gt(whole, seed)
        target = output / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, degrader.lq(whole, seed, (height, width)))
    return len(files)
