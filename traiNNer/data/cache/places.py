"""Where decoded images are kept: a folder for each folder of images and for what decodes them."""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import cv2
from pydantic import BaseModel, TypeAdapter

from traiNNer.data.cache.records import SIZE
from traiNNer.data.cache.store import INDEX, PIXELS
from traiNNer.imaging.other_formats import plugins
from traiNNer.utils.bounded import read
from traiNNer.utils.caches import cache_folder
from traiNNer.utils.files import write_bytes_atomic

VERSION = 1
"""Raise it when the pixels of any file are decoded to other numbers than before, or the files of a store change."""
ABOUT = "about.json"
_MOST_BYTES = 1 << 20


class About(BaseModel):
    """Whose images a store holds, and what decoded them."""

    root: str
    decoded_by: str


_ABOUT = TypeAdapter(About)


@dataclass(frozen=True)
class Kept:
    """A store as it is listed: the folder of the images, how many, bytes on the disk, seconds since it was used."""

    folder: Path
    root: str
    images: int
    bytes_on_disk: int
    unused_s: float
    is_current: bool


def default_base() -> Path | None:
    """Return the folder of all stores; None for a user without a home, as containers have them."""
    return cache_folder("images")


def decoded_by() -> str:
    """Return what decodes images here. Another version of it may decode a file to other numbers."""
    return ", ".join([f"OpenCV {cv2.__version__}", f"Pillow {metadata.version('pillow')}", *plugins()])


def store_folder(base: Path, root: Path) -> Path:
    """Return the folder in which the images below `root` are kept."""
    name = f"{root.absolute()}\n{VERSION}\n{decoded_by()}"
    return base / hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def describe(folder: Path, root: Path) -> None:
    """Write down whose images a store holds, and that it is used now. Raises `OSError`."""
    if (folder / ABOUT).exists():
        os.utime(folder / ABOUT)
        return
    about = About(root=os.fsencode(root.absolute()).decode("utf-8", "replace"), decoded_by=decoded_by())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_bytes_atomic(folder / ABOUT, json.dumps(about.model_dump()).encode())


def kept(base: Path) -> Iterator[Kept]:
    """Yield the stores below a folder; whatever else is there is left out."""
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        try:
            about = read(folder / ABOUT, _ABOUT, _MOST_BYTES)
            pixels, index, used = ((folder / name).stat() for name in (PIXELS, INDEX, ABOUT))
        except (OSError, ValueError):
            continue
        on_disk = sum(getattr(status, "st_blocks", -(-status.st_size // 512)) * 512 for status in (pixels, index))
        is_current = folder == store_folder(base, Path(about.root))
        yield Kept(folder, about.root, index.st_size // SIZE, on_disk, time.time() - used.st_mtime, is_current)


def remove_folder(folder: Path) -> None:
    """Remove a store. Runs that use it go on with what they have open; where it cannot be removed, it stays."""
    aside = folder.with_name(f".{folder.name}.removed-{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
