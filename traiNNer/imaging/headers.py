"""What image files say of themselves, read from a few of their bytes: nothing is decoded, nothing large is allocated.

Formats: PNG 3rd edition with APNG, JPEG (ITU-T T.81), WebP (RFC 9649), BMP, TIFF 6.0.
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO

TAIL_BYTES = 4096
TIFF_TYPES = {1: "B", 3: "H", 4: "I"}
TIFF_VALUES_READ = 1_000_000
JPEG_FRAMES = {*range(0xFFC0, 0xFFD0)} - {0xFFC4, 0xFFC8, 0xFFCC}


class Unusable(ValueError):
    """The file cannot be used; the text is the reason."""


@dataclass(frozen=True)
class Header:
    """What a file says of its image without being decoded."""

    width: int
    height: int
    channels: int
    bits: int
    is_animated: bool = False

    @property
    def has_alpha(self) -> bool:
        """Whether there is a transparency channel, which is dropped."""
        return self.channels in (2, 4)

    @property
    def is_gray(self) -> bool:
        """Whether there is one color channel, which is repeated."""
        return self.channels in (1, 2)


def parse_header(file: BinaryIO, max_megapixels: float) -> Header:
    """Read what an open file holds and check that it is complete.

    Raises:
        Unusable: empty, not an image, cut off, of a type that is not supported, or too large.
        OSError: the file cannot be read.
    """
    start = file.read(16)
    size = file.seek(0, os.SEEK_END)
    kind, parse = _format(start)
    try:
        header, is_complete = parse(file, size)
    except (struct.error, EOFError):
        raise Unusable(f"truncated {kind}") from None
    if min(header.width, header.height) < 1:
        raise Unusable(f"damaged {kind}: {header.width}x{header.height} pixels")
    megapixels = header.width * header.height / 1e6
    if megapixels > max_megapixels:
        raise Unusable(f"is {header.width}x{header.height} ({megapixels:,.0f} Mpx), limit {max_megapixels:g} Mpx")
    if not is_complete:  # decoders fill what is missing with gray and say nothing
        raise Unusable(f"truncated {kind}")
    return header


def _format(start: bytes) -> tuple[str, Callable[[BinaryIO, int], tuple[Header, bool]]]:
    if not start:
        raise Unusable("empty file")
    if start.startswith(b"version https:/"):
        raise Unusable("a Git LFS pointer, not the image; run `git lfs pull`")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise Unusable("a web page or other markup, not an image; download it again")
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP", _webp
    for signature, kind, parse in (
        (b"\x89PNG\r\n\x1a\n", "PNG", _png),
        (b"\xff\xd8\xff", "JPEG", _jpeg),
        (b"BM", "BMP", _bmp),
        (b"II*\x00", "TIFF", _tiff),
        (b"MM\x00*", "TIFF", _tiff),
    ):
        if start.startswith(signature):
            return kind, parse
    raise Unusable("not an image")


def _bytes(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _from(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    return file.read()


def _png(file: BinaryIO, size: int) -> tuple[Header, bool]:
    width, height, bits, color = struct.unpack(">IIBB", _bytes(file, 16, 10))
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(color)
    if channels is None:
        raise Unusable(f"damaged PNG: color type {color}")
    chunks = _png_chunks(file, size)
    is_animated = b"acTL" in list(takewhile(lambda name: name != b"IDAT", chunks))
    is_complete = b"IEND" in _from(file, max(0, size - TAIL_BYTES)) or b"IEND" in chunks
    return Header(width, height, channels, max(8, bits), is_animated), is_complete


def _png_chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    position = 8
    while position + 12 <= size:
        length, name = struct.unpack(">I4s", _bytes(file, position, 8))
        yield name
        position += 12 + length


def _jpeg(file: BinaryIO, size: int) -> tuple[Header, bool]:
    position, header = 2, None
    while True:
        marker, length = struct.unpack(">HH", _bytes(file, position, 4))
        if marker == 0xFFFF:  # a fill byte
            position += 1
            continue
        if marker < 0xFFC0 or length < 2:
            raise Unusable("damaged JPEG")
        if marker in JPEG_FRAMES:
            bits, height, width, channels = struct.unpack(">BHHB", _bytes(file, position + 4, 6))
            _require_rgb("CMYK" if channels == 4 else "" if channels in (1, 3) else f"with {channels} channels")
            if bits != 8:
                raise Unusable(f"JPEG of {bits} bits is not supported, convert it to PNG")
            header = Header(width, height, channels, bits)
        if marker == 0xFFDA:
            break
        position += 2 + length
    if header is None:
        raise Unusable("damaged JPEG")
    # Within the compressed data no other FF D9 can stand, but in a thumbnail before it there can.
    tail = _from(file, max(position, size - TAIL_BYTES))
    return header, b"\xff\xd9" in tail or b"\xff\xd9" in _from(file, position)


def _webp(file: BinaryIO, size: int) -> tuple[Header, bool]:
    is_complete = struct.unpack("<I", _bytes(file, 4, 4))[0] + 8 <= size
    kind = _bytes(file, 12, 4)
    if kind == b"VP8X":
        flags, width, height = struct.unpack("<B3x3s3s", _bytes(file, 20, 10))
        width, height = (int.from_bytes(side, "little") + 1 for side in (width, height))
        return Header(width, height, 4 if flags & 0x10 else 3, 8, bool(flags & 0x02)), is_complete
    if kind == b"VP8L":
        (packed,) = struct.unpack("<I", _bytes(file, 21, 4))
        channels = 4 if packed >> 28 & 1 else 3
        return Header((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, channels, 8), is_complete
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", _bytes(file, 26, 4))
        return Header(width & 0x3FFF, height & 0x3FFF, 3, 8), is_complete
    raise Unusable("damaged WebP")


def _bmp(file: BinaryIO, size: int) -> tuple[Header, bool]:
    is_complete = struct.unpack("<I", _bytes(file, 2, 4))[0] <= size
    form = "<HH" if _bytes(file, 14, 4) == b"\x0c\0\0\0" else "<ii"
    width, height = struct.unpack(form, _bytes(file, 18, struct.calcsize(form)))
    return Header(width, abs(height), 3, 8), is_complete  # a negative height means top row first


@dataclass(frozen=True)
class TiffTags:
    """The first directory of a TIFF: integer values by tag, where each value stands, and whether more follow."""

    order: str
    values: dict[int, tuple[int, ...]]
    places: dict[int, int]
    has_more: bool

    def one(self, tag: int, default: int) -> int:
        """Return the first value of a tag."""
        return self.values.get(tag, (default,))[0]


def read_tiff_tags(file: BinaryIO) -> TiffTags:
    """Read the first directory. Raises `EOFError` when it lies outside the file."""
    order = "<" if _bytes(file, 0, 2) == b"II" else ">"
    (first,) = struct.unpack(f"{order}I", _bytes(file, 4, 4))
    (count,) = struct.unpack(f"{order}H", _bytes(file, first, 2))
    entries = _bytes(file, first + 2, 12 * count + 4)
    values, places = {}, {}
    for start in range(0, 12 * count, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", entries, start)
        if kind not in TIFF_TYPES or not 0 < number <= TIFF_VALUES_READ:
            continue
        form = f"{order}{number}{TIFF_TYPES[kind]}"
        length = struct.calcsize(form)
        inside = entries[start + 8 : start + 12]
        data = inside[:length] if length <= 4 else _bytes(file, struct.unpack(f"{order}I", inside)[0], length)
        values[tag], places[tag] = struct.unpack(form, data), first + 10 + start
    (following,) = struct.unpack_from(f"{order}I", entries, 12 * count)
    return TiffTags(order, values, places, following != 0)


def _tiff(file: BinaryIO, size: int) -> tuple[Header, bool]:
    tags = read_tiff_tags(file)
    photometric, samples, bits = tags.one(262, 1), tags.one(277, 1), tags.values.get(258, (1,))
    colors = {0: "", 1: "", 2: "", 3: "", 5: "CMYK", 6: ""}.get(photometric, f"number {photometric}")
    if any(kind != 1 for kind in tags.values.get(339, (1,))):
        colors = "with floating-point or signed numbers"
    _require_rgb(colors)
    if samples > 4 or max(bits) > 16 or min(bits) != max(bits):
        raise Unusable(f"TIFF of {samples} channels and {max(bits)} bits is not supported, convert it to PNG")
    base = 1 if photometric in (0, 1, 3) else 3
    channels = (3 if photometric == 3 else base) + (samples > base)
    offsets = tags.values.get(273) or tags.values.get(324) or ()
    lengths = tags.values.get(279) or tags.values.get(325) or ()
    is_complete = all(start + length <= size for start, length in zip(offsets, lengths, strict=False))
    header = Header(tags.one(256, 0), tags.one(257, 0), channels, max(8, *bits), tags.has_more)
    return header, is_complete


def _require_rgb(problem: str) -> None:
    if problem:
        raise Unusable(f"color type {problem} is not supported, convert it to RGB")
