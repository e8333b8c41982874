"""Reading and writing images: bounded, complete or refused, always H, W, 3 RGB.

| file                         | becomes                                             |
|------------------------------|-----------------------------------------------------|
| 8 bit, palette, 1 bit        | uint8                                               |
| 16 bit (PNG, TIFF)           | uint16, full precision                              |
| grey                         | three equal channels                                |
| alpha                        | dropped                                             |
| EXIF rotation                | ignored, for every file alike                       |
| CMYK, floating point         | refused                                             |
| animated                     | first frame                                         |
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from traiNNer.utils.files import write_bytes_atomic

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_MEGAPIXELS = 200
TAIL_BYTES = 4096
SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}

# OpenCV reports damaged files on stderr without their name; we name them.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class ImageError(ValueError):
    """A file that cannot be used as an image: `path` and `reason` (`truncated PNG`, `not an image`, …)."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(f"{path} ({reason})")

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Keep both parts when the error travels from a worker process."""
        return ImageError, (self.path, self.reason)


@dataclass(frozen=True)
class Header:
    """What a file says of its image without being decoded."""

    width: int
    height: int
    channels: int
    bits: int

    @property
    def has_alpha(self) -> bool:
        """Whether there is a transparency channel, which is dropped."""
        return self.channels in (2, 4)

    @property
    def is_grey(self) -> bool:
        """Whether there is one colour channel, which is repeated."""
        return self.channels in (1, 2)


MODES = {"1": 1, "L": 1, "LA": 2, "La": 2, "P": 3, "PA": 4, "RGB": 3, "RGBA": 4, "RGBa": 4, "RGBX": 4}
DEEP_MODES = {"I;16": 1, "I;16B": 1, "I;16L": 1, "I": 1}


def read_header(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> Header:
    """Read size and type of an image without decoding it, and check that the file is complete.

    Raises:
        ImageError: missing, empty, not an image, cut off, of a type that is not supported, or too large.
    """
    from PIL import Image

    _check_complete(path)
    # Pillow's own limit warns at half of it and is meant for decoding, which does not happen here.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path) as image:
            width, height, mode = image.width, image.height, image.mode
            bits = 16 if mode in DEEP_MODES or _is_deep_png(path) else 8
            bits = max(bits, _tiff_bits(image))
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise ImageError(path, f"not a readable image: {type(error).__name__}") from None
    if mode not in MODES and mode not in DEEP_MODES:
        raise ImageError(path, f"colour type {mode} is not supported, convert it to RGB")
    if width * height > max_megapixels * 1e6:
        size = width * height / 1e6
        raise ImageError(path, f"is {width}x{height} ({size:,.0f} Mpx), limit {max_megapixels:g} Mpx")
    return Header(width, height, MODES.get(mode, DEEP_MODES.get(mode, 3)), bits)


def _is_deep_png(path: str | Path) -> bool:
    with Path(path).open("rb") as file:
        start = file.read(25)
    return start.startswith(b"\x89PNG") and len(start) == 25 and start[24] == 16


def _tiff_bits(image: object) -> int:
    tags = getattr(image, "tag_v2", None)
    bits = tags.get(258) if tags else None
    return max(bits) if isinstance(bits, tuple) else int(bits or 0)


def _check_complete(path: str | Path) -> None:
    """Find cut-off files by their last bytes: decoders fill what is missing with grey and say nothing."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read()
    except OSError as error:
        raise ImageError(path, (error.strerror or "unreadable").lower()) from None
    if not start:
        raise ImageError(path, "empty file")
    if start.startswith(b"version https:/"):
        raise ImageError(path, "a Git LFS pointer, not the image; run `git lfs pull`")
    kind = next((name for signature, name in SIGNATURES.items() if start.startswith(signature)), None)
    if kind is None:
        raise ImageError(path, "not an image")
    complete = {
        "PNG": b"IEND" in tail,
        "JPEG": b"\xff\xd9" in tail,
        "WebP": len(start) >= 12 and struct.unpack("<I", start[4:8])[0] + 8 <= size,
        "BMP": len(start) >= 6 and struct.unpack("<I", start[2:6])[0] <= size,
    }.get(kind, True)
    if not complete:
        raise ImageError(path, f"truncated {kind}")


def read_image(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Read an image as H, W, 3 RGB, uint8 or uint16.

    Raises:
        ImageError: as for `read_header`, or the content cannot be decoded.
    """
    read_header(path, max_megapixels)
    data = np.fromfile(path, np.uint8)  # OpenCV's own file reading fails on non-ASCII names on some systems
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(path, "damaged: cannot be decoded")
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(path, f"{image.dtype} pixels are not supported, convert it to 8 or 16 bit")
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[2] <= 2:
        return np.repeat(image[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(image[:, :, 2::-1])


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an H, W, 3 RGB uint8 or uint16 image as PNG, whole or not at all. Raises `OSError`."""
    done, data = cv2.imencode(".png", image[:, :, ::-1])
    if not done:
        raise OSError(f"{path}: could not be encoded as PNG")
    write_bytes_atomic(path, data.tobytes())
