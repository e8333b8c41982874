"""Reading and writing images: bounded, complete or refused, always H, W, 3 RGB.

| file                         | becomes                                             |
|------------------------------|-----------------------------------------------------|
| 8 bit, palette, 1 bit        | uint8                                               |
| 16 bit (PNG, TIFF)           | uint16, full precision                              |
| gray                         | three equal channels                                |
| alpha                        | dropped; `read_seen` gives it apart                 |
| EXIF, XMP, TIFF orientation  | turned as it is seen                                |
| color profile                | converted to sRGB; with 16 bits refused             |
| CMYK, floating point         | refused                                             |
| animated, several pages      | first frame                                         |

Formats: PNG, JPEG, WebP, BMP, TIFF; AVIF, JPEG XL and HEIC where Pillow or one of its plugins reads them. What the
decoder reports as damage is an error, like a file that cannot be decoded at all.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from traiNNer.imaging.decode import Seen, decode
from traiNNer.imaging.headers import Header, Parsed, Unusable, parse
from traiNNer.imaging.other_formats import ENDINGS, is_readable
from traiNNer.utils.files import write_bytes_atomic

USUAL_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
SUFFIXES = (*USUAL_SUFFIXES, *(ending for kind, names in ENDINGS.items() if is_readable(kind) for ending in names))
MAX_MEGAPIXELS = 200
Identity = tuple[int, int, int]
"""What tells whether a file is the one that was read before."""


class ImageError(ValueError):
    """A file that cannot be used as an image: `path` and `reason` (`truncated PNG`, `not an image`, …)."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(f"{path} ({reason})")

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Keep both parts when the error travels from a worker process."""
        return ImageError, (self.path, self.reason)


def read_header(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> Header:
    """Read size and type of an image without decoding it, and check that the file is complete.

    An unusual kind of image is decoded as well: what passes here is an image that `read_image` knows how to read.

    Raises:
        ImageError: missing, empty, not an image, cut off, of a type that is not supported, or too large.
    """
    parsed, *_ = _read(path, max_megapixels, with_content=False)
    if parsed.is_unusual:
        read_image(path, max_megapixels)
    return parsed.header


def read_content(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> tuple[Parsed, bytearray, Identity]:
    """Return what the header says, all bytes of a file, and its inode, modification time in ns and size.

    Raises:
        ImageError: as for `read_header`.
    """
    return _read(path, max_megapixels, with_content=True)


def read_parsed(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> tuple[Parsed, Identity]:
    """Return the same without the content. Raises `ImageError` as `read_content` does."""
    parsed, _, identity = _read(path, max_megapixels, with_content=False)
    return parsed, identity


def _read(path: str | Path, max_megapixels: float, with_content: bool) -> tuple[Parsed, bytearray, Identity]:
    content = bytearray()
    try:
        with _open(path) as file:
            status = os.fstat(file.fileno())
            parsed = parse(file, max_megapixels)
            if with_content:
                file.seek(0)
                content = bytearray(file.read())
    except Unusable as error:
        raise ImageError(path, str(error)) from None
    except OSError as error:
        raise ImageError(path, (error.strerror or "unreadable").lower()) from None
    return parsed, content, (status.st_ino, status.st_mtime_ns, status.st_size)


def _open(path: str | Path) -> BinaryIO:
    """Open a regular file: a named pipe would wait for someone who writes to it. Raises `OSError` or `Unusable`."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(mode := os.fstat(handle).st_mode):
        os.close(handle)
        raise Unusable("is a directory" if stat.S_ISDIR(mode) else "not a regular file")
    return os.fdopen(handle, "rb")


def read_image(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Read an image as H, W, 3 RGB, uint8 or uint16.

    Raises:
        ImageError: as for `read_header`, or the content cannot be decoded.
    """
    return read_seen(path, max_megapixels)[0].colors


def read_seen(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> tuple[Seen, Header]:
    """Read an image with its opacity, and what its header says. Raises `ImageError` as `read_image` does."""
    parsed, content, _ = read_content(path, max_megapixels)
    try:
        return decode(content, parsed), parsed.header
    except Unusable as error:
        raise ImageError(path, str(error)) from None


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an H, W, 3 RGB uint8 or uint16 image as PNG, whole or not at all. Raises `OSError`."""
    done, data = cv2.imencode(".png", image[:, :, ::-1])
    if not done:
        raise OSError(f"{path}: could not be encoded as PNG")
    write_bytes_atomic(path, data.tobytes())
