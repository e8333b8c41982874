"""Before/after pictures of a release, from the example crops of the run."""

from pathlib import Path

import numpy as np

from traiNNer.export.run_facts import PARTS, examples_of
from traiNNer.imaging.image_file import ImageError, read_image, write_image
from traiNNer.report.record import Record

FOLDER = "images"
GAP = 8
"""White pixels between the parts of a picture."""


def write_examples(record: Record, folder: Path) -> list[tuple[str, str]]:
    """Write a picture for every example crop: bicubic, output and ground truth side by side.

    Args:
        record: the run.
        folder: of the release; the pictures go into a folder in it.

    Returns:
        The caption of each, and its file relative to `folder`.
    """
    found = []
    for number, example in enumerate(examples_of(record), 1):
        try:
            parts = [read_image(example.files[part]) for part in PARTS]
        except ImageError:
            continue
        if len({part.shape for part in parts}) > 1:
            continue
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        name = f"{FOLDER}/{number:02}.png"
        write_image(folder / name, beside(parts))
        found.append((example.caption, name))
    return found


def beside(images: list[np.ndarray]) -> np.ndarray:
    """Return images of one size, H, W, 3, side by side with white between them."""
    white = np.full((images[0].shape[0], GAP, 3), np.iinfo(images[0].dtype).max, images[0].dtype)
    return np.concatenate([part for image in images for part in (image, white)][:-1], axis=1)
