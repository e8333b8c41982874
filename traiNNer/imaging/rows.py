"""Some rows of a PNG, where they are certain to be those of the whole image: less than all of it is decoded.

libvips decodes from the top and stops below the last row that is asked for. All checksums of the file are compared
once in each process, since damage further down would go unnoticed.
"""

import os
import struct
import zlib
from collections import OrderedDict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from traiNNer.imaging.headers import Decoder, Parsed
from traiNNer.imaging.image_file import Identity, read_content, read_parsed

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD = 33
"""Bytes of the signature and of the chunk after it, which says what the image is."""
CHANNELS = {0: 1, 2: 3}
"""Of gray and RGB: what has a palette or opacity is decoded whole."""
REMEMBERED = 100_000
_good: OrderedDict[Identity, None] = OrderedDict()


def read_rows(path: Path, first: int, last: int, max_megapixels: float) -> np.ndarray | None:
    """Return an H, W, 3 image of which only the rows from `first` to before `last` are as they are in the file.

    Returns None where it is not certain to be equal to `read_image`, which then has to be asked.

    Raises:
        ImageError: as `read_image` does.
    """
    library = _vips()
    # The library takes names as UTF-8, which on Linux they need not be.
    if library is None or path.suffix.lower() != ".png" or not _is_utf8(path):
        return None
    parsed, identity = read_parsed(path, max_megapixels)
    header = parsed.header
    first, last = max(0, first), min(header.height, last)
    if not _is_plain(parsed, path) or not _is_good(path, identity, max_megapixels):
        return None
    found = _decoded(library, path, first, last, header.width)
    if read_parsed(path, max_megapixels)[1] != identity:  # another file took its place meanwhile
        return None
    if found is None or found.dtype != (np.uint16 if header.bits > 8 else np.uint8):
        return None
    image = np.empty((header.height, header.width, 3), found.dtype)
    image[first:last] = found
    return image


@cache
def _vips_here(process: int) -> Any:  # noqa: ARG001 - asked for once in a process
    os.environ.setdefault("VIPS_CONCURRENCY", "1")  # data workers have a core each
    try:
        import pyvips
    except (ImportError, OSError):  # the binding without its library
        return None
    pyvips.cache_set_max(0)
    return pyvips


_first_process: list[int] = []


def _vips() -> Any:
    """Return libvips if it is installed and this process may use it: threads that it had before a fork are gone."""
    if find_spec("pyvips") is None:
        return None
    if not _first_process:
        _first_process.append(os.getpid())
    return _vips_here(os.getpid()) if _first_process[0] == os.getpid() else None


def _is_plain(parsed: Parsed, path: Path) -> bool:
    header = parsed.header
    try:
        with path.open("rb") as file:
            start = file.read(HEAD)
    except OSError:  # whoever reads the whole image says what is wrong
        return False
    if not start.startswith(SIGNATURE) or len(start) < HEAD or parsed.decoder is not Decoder.OPENCV:
        return False
    bits, color, _, _, interlace = struct.unpack_from(">5B", start, 24)
    is_as_stored = header.orientation == 1 and not parsed.profile and not header.is_animated
    return is_as_stored and bits in (8, 16) and color in CHANNELS and not interlace


def _is_good(path: Path, identity: Identity, max_megapixels: float) -> bool:
    """Return whether all checksums of this state of the file are right: they are compared once."""
    if identity not in _good:
        _, content, read = read_content(path, max_megapixels)
        if read != identity or not _has_good_checksums(content):
            return False
        _good[identity] = None
        if len(_good) > REMEMBERED:
            _good.popitem(last=False)
    return True


def _has_good_checksums(content: bytearray) -> bool:
    """Return whether every chunk is as it was written, and none gives the colors an opacity."""
    view, place = memoryview(content), len(SIGNATURE)
    while place + 12 <= len(view):
        length, name = struct.unpack_from(">I4s", view, place)
        end = place + 8 + length
        if end + 4 > len(view) or name == b"tRNS":
            return False
        if zlib.crc32(view[place + 4 : end]) != struct.unpack_from(">I", view, end)[0]:
            return False
        if name == b"IEND":
            return True
        place = end + 4
    return False


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(library: Any, path: Path, first: int, last: int, width: int) -> np.ndarray | None:
    """Return rows, width and three equal or RGB channels; None where the library has an objection."""
    try:
        image = library.Image.new_from_file(str(path), access="sequential", fail_on="warning")
        rows = image.crop(0, first, width, last - first).numpy()
    except library.Error:
        return None
    rows = rows[:, :, None] if rows.ndim == 2 else rows
    return np.repeat(rows, 3, axis=2) if rows.shape[2] == 1 else rows if rows.shape[2] == 3 else None
