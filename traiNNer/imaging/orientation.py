"""How the stored pixels of an image are turned to be seen: as EXIF counts it, 1 to 8, by EXIF or else by XMP."""

import re
import struct
import zlib
from io import BytesIO

from traiNNer.imaging.tiff_tags import ORIENTATION, read_tiff_tags

UNTOLD = 0
"""The orientation of an image that does not say one."""
MOST_TEXT = 1 << 20
"""Bytes of a text chunk that are unpacked at the most."""
KEYWORDS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
"""Keywords of the PNG texts that can tell it: the first is ImageMagick's."""
XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_IN_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])\s*[\"'<]")


def of_exif(data: bytes) -> int:
    """Return the orientation that an EXIF block tells, with or without its mark in front."""
    data = data.removeprefix(b"Exif\0\0")
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return UNTOLD
    try:
        return read_tiff_tags(BytesIO(data)).one(ORIENTATION, UNTOLD)
    except (EOFError, struct.error):
        return UNTOLD


def of_xmp(data: bytes) -> int:
    """Return the orientation that an XMP packet tells."""
    found = _IN_XMP.search(data)
    return int(found[1]) if found else UNTOLD


def of_png_text(kind: bytes, data: bytes) -> int:
    """Return the orientation that the content of a `tEXt`, `zTXt` or `iTXt` chunk tells; its keyword is of KEYWORDS."""
    keyword, _, rest = data.partition(b"\0")
    try:
        if kind == b"zTXt":
            rest = _unpacked(rest[1:])
        elif kind == b"iTXt":
            is_packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]  # after language and translated keyword
            rest = _unpacked(rest) if is_packed else rest
        if keyword == b"XML:com.adobe.xmp":
            return of_xmp(rest)
        # A line with the name of the profile, one with its length, and then hexadecimal digits.
        return of_exif(bytes.fromhex(b"".join(rest.split()[2:]).decode("ascii")))
    except (zlib.error, ValueError):
        return UNTOLD


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MOST_TEXT)
