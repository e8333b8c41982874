"""Reading and writing images: bounded, complete or refused, always H, W, 3 RGB.

| file                         | becomes                                             |
|------------------------------|-----------------------------------------------------|
| 8 bit, palette, 1 bit        | uint8                                               |
| 16 bit (PNG, TIFF)           | uint16, full precision                              |
| gray                         | three equal channels                                |
| alpha                        | dropped                                             |
| rotation tags (EXIF, TIFF)   | ignored, for every file alike                       |
| color profile               | ignored                                             |
| CMYK, floating point         | refused                                             |
| animated, several pages      | first frame                                         |
"""

import struct
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from traiNNer.imaging.headers import Header, Unusable, parse_header, read_tiff_tags
from traiNNer.utils.files import write_bytes_atomic

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_MEGAPIXELS = 200
ORIENTATION, EXTRA_SAMPLES = 274, 338

# OpenCV reports damaged files on stderr without their name; we name them. It moved the function in version 5.
if hasattr(cv2, "setLogLevel"):
    cv2.setLogLevel(0)  # pyright: ignore[reportAttributeAccessIssue] - not in every version
else:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
# Data workers have a core each. Said before any is forked: one that is set afterwards waits forever for the
# threads that OpenCV had in the main process.
cv2.setNumThreads(1)


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

    Raises:
        ImageError: missing, empty, not an image, cut off, of a type that is not supported, or too large.
    """
    return _read(path, max_megapixels, with_content=False)[0]


def _read(path: str | Path, max_megapixels: float, with_content: bool) -> tuple[Header, bytearray]:
    content = bytearray()
    try:
        with Path(path).open("rb") as file:
            header = parse_header(file, max_megapixels)
            if with_content:
                file.seek(0)
                content = bytearray(file.read())
    except Unusable as error:
        raise ImageError(path, str(error)) from None
    except OSError as error:
        raise ImageError(path, (error.strerror or "unreadable").lower()) from None
    return header, content


def read_image(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Read an image as H, W, 3 RGB, uint8 or uint16.

    Raises:
        ImageError: as for `read_header`, or the content cannot be decoded.
    """
    header, content = _read(path, max_megapixels, with_content=True)
    _undo_tiff_conversions(content)
    try:
        # "Unchanged" also means: as stored, whatever the EXIF data say of the orientation.
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(path, "damaged: cannot be decoded")
    if image.shape[:2] != (header.height, header.width):
        raise ImageError(path, f"damaged: not the {header.width}x{header.height} pixels that its header promises")
    if image.dtype != (np.uint16 if header.bits > 8 else np.uint8):
        raise ImageError(path, f"{header.bits} bits of this kind are not supported, convert it to PNG")
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[2] <= 2:
        return np.repeat(image[:, :, :1], 3, axis=2)
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _undo_tiff_conversions(content: bytearray) -> None:
    """Mark a TIFF as upright and its colors as final: the decoder would turn it and darken them by their alpha."""
    if content[:4] not in (b"II*\x00", b"MM\x00*"):
        return
    tags = read_tiff_tags(BytesIO(content))
    for tag in (ORIENTATION, EXTRA_SAMPLES):
        if len(tags.values.get(tag, ())) == 1:
            struct.pack_into(f"{tags.order}H", content, tags.places[tag], 1)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an H, W, 3 RGB uint8 or uint16 image as PNG, whole or not at all. Raises `OSError`."""
    done, data = cv2.imencode(".png", image[:, :, ::-1])
    if not done:
        raise OSError(f"{path}: could not be encoded as PNG")
    write_bytes_atomic(path, data.tobytes())
