"""What image files say of themselves, read from a few of their bytes: nothing is decoded, nothing large is allocated.

Formats: PNG 3rd edition with APNG, JPEG (ITU-T T.81), WebP (RFC 9649), BMP, TIFF 6.0.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from io import BytesIO
from typing import BinaryIO

from traiNNer.imaging import orientation
from traiNNer.imaging.color_profile import MOST_BYTES, profile_name
from traiNNer.imaging.other_formats import READERS, open_with_plugin, what_it_is
from traiNNer.imaging.tiff_tags import (
    EXTRA_SAMPLES,
    ORIENTATION,
    PROFILE,
    STRIP_LENGTHS,
    STRIPS,
    TILE_LENGTHS,
    TILES,
    TiffTags,
    read_tiff_tags,
    take,
)

TAIL_BYTES = 4096
MOST_PARTS = 200_000
"""Chunks of a PNG, of 8 KB each as writers make them: 1.6 GB. A file that claims more is made to keep us busy."""
MOST_SEGMENTS = 10_000
SPARE_BYTES, MOST_BYTES_PER_PIXEL = 256 * 1024**2, 32
JPEG_FRAMES = {*range(0xFFC0, 0xFFD0)} - {0xFFC4, 0xFFC8, 0xFFCC}
USUAL_JPEG_FRAMES = {0xFFC0, 0xFFC1, 0xFFC2}
USUAL_COMPRESSIONS = {1, 5, 8, 32946}
ASSOCIATED = 1


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
    orientation: int = 1
    """How the stored pixels are turned to be seen, as EXIF counts it; `width` and `height` are those that are seen."""
    profile: str = ""
    """The name of a color profile that is converted to sRGB."""

    @property
    def has_alpha(self) -> bool:
        """Whether there is a transparency channel, which is dropped."""
        return self.channels in (2, 4)

    @property
    def is_gray(self) -> bool:
        """Whether there is one color channel, which is repeated."""
        return self.channels in (1, 2)


class Decoder(Enum):
    """What gives the pixels of a file as they are seen."""

    OPENCV = "opencv"
    PILLOW = "pillow"
    PLANES = "planes"
    STILL = "still"


@dataclass(frozen=True)
class Parsed:
    """What has to be known to decode a file.

    Args:
        header: for everyone else.
        profile: the color profile, empty where there is none to convert.
        decoder: what decodes it.
        is_unusual: nobody knows whether it can be decoded until that was tried.
        inverted: the smallest number is white.
        premultiplied: the colors are stored multiplied by their opacity.
    """

    header: Header
    profile: bytes = b""
    decoder: Decoder = Decoder.OPENCV
    is_unusual: bool = False
    inverted: bool = False
    premultiplied: bool = False


def parse_header(file: BinaryIO, max_megapixels: float) -> Header:
    """Return the header alone: see `parse`."""
    return parse(file, max_megapixels).header


def parse(file: BinaryIO, max_megapixels: float) -> Parsed:
    """Read what an open file holds and check that it is complete.

    Raises:
        Unusable: empty, not an image, cut off, of a type that is not supported, or too large.
        OSError: the file cannot be read.
    """
    start = file.read(64)
    size = file.seek(0, os.SEEK_END)
    kind, read = _format(start)
    try:
        found, is_complete = read(file, size)
        header = found.header
        if min(header.width, header.height) < 1:
            raise Unusable(f"damaged {kind}: {header.width}x{header.height} pixels")
        megapixels = header.width * header.height / 1e6
        if megapixels > max_megapixels:
            raise Unusable(f"is {header.width}x{header.height} ({megapixels:,.0f} Mpx), limit {max_megapixels:g} Mpx")
        if size > SPARE_BYTES + MOST_BYTES_PER_PIXEL * header.width * header.height and not header.is_animated:
            raise Unusable(f"damaged {kind}: {size / 1e6:,.0f} MB for {header.width}x{header.height} pixels")
        if not is_complete():  # decoders fill what is missing with gray and say nothing
            raise Unusable(f"truncated {kind}")
    except (struct.error, EOFError):
        raise Unusable(f"truncated {kind}") from None
    return _as_seen(found)


def _as_seen(found: Parsed) -> Parsed:
    """Turn the size the way that the orientation says, and name the profile, if it changes anything."""
    header = found.header
    if header.orientation not in range(2, 9):
        header = replace(header, orientation=1)
    if header.orientation > 4:
        header = replace(header, width=header.height, height=header.width)
    name = profile_name(found.profile, header.is_gray) if found.profile else ""
    if name and header.bits > 8:
        raise Unusable(f"16 bits with the color profile '{name}' are not supported, convert it to sRGB")
    return replace(found, header=replace(header, profile=name), profile=found.profile if name else b"")


Read = tuple[Parsed, Callable[[], bool]]
"""What a file holds, and a function that finds out whether it is complete."""


def _format(start: bytes) -> tuple[str, Callable[[BinaryIO, int], Read]]:
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
    other = what_it_is(start)
    if other is None:
        raise Unusable("not an image")
    return other, lambda file, size: _other(other, file, size)


def _other(kind: str, file: BinaryIO, size: int) -> Read:
    """Read a format that only Pillow or one of its plugins knows; these take in the whole file at once."""
    if kind in READERS and size > SPARE_BYTES:
        raise Unusable(f"{size / 1e6:,.0f} MB of {kind} are not supported, limit {SPARE_BYTES / 1e6:,.0f} MB")
    file.seek(0)
    found = open_with_plugin(kind, file)
    if isinstance(found, str):
        raise Unusable(found)
    with found as image:
        channels = len(image.getbands()) if image.mode in ("L", "LA", "RGB", "RGBA") else 3
        turned = image.getexif().get(ORIENTATION, 1)
        is_animated = getattr(image, "n_frames", 1) > 1
        width, height = image.size
        header = Header(width, height, channels, 8, is_animated, turned)
        return Parsed(header, image.info.get("icc_profile") or b"", Decoder.PILLOW), lambda: True


def _has(file: BinaryIO, position: int, mark: bytes) -> bool:
    """Whether the rest of a file holds a mark of two bytes or more; it is read in pieces."""
    file.seek(position)
    kept = b""
    while piece := file.read(64 * 1024):
        if mark in kept + piece:
            return True
        kept = piece[1 - len(mark) :]
    return False


def _png(file: BinaryIO, size: int) -> Read:
    width, height, bits, color = struct.unpack(">IIBB", take(file, 16, 10))
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(color)
    if channels is None:
        raise Unusable(f"damaged PNG: color type {color}")
    is_animated, profile = False, b""
    by_exif = by_text = orientation.UNTOLD
    seen: set[bytes] = set()
    for name, start, length in _png_chunks(file, size):
        if name == b"IDAT":
            break
        is_animated |= name == b"acTL"
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            by_text = by_text or _told_by_text(file, name, start, length)
            continue
        if name in seen:  # one of each is allowed, and read
            continue
        seen.add(name)
        if name == b"eXIf":
            by_exif = orientation.of_exif(take(file, start, min(length, MOST_BYTES)))
        elif name == b"iCCP":
            profile = _png_profile(take(file, start, min(length, MOST_BYTES)))
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    place = tail.rfind(b"eXIf")
    if place >= 4:  # it may stand behind the picture, too
        (length,) = struct.unpack_from(">I", tail, place - 4)
        data, check = tail[place : place + 4 + length], tail[place + 4 + length : place + 8 + length]
        if check == struct.pack(">I", zlib.crc32(data)):
            by_exif = orientation.of_exif(data[4:])
    header = Header(width, height, channels, max(8, bits), is_animated, by_exif or by_text)

    def is_complete() -> bool:
        return b"IEND" in tail or any(name == b"IEND" for name, _, _ in _png_chunks(file, size))

    return Parsed(header, profile, Decoder.STILL if is_animated else Decoder.OPENCV, is_animated), is_complete


def _told_by_text(file: BinaryIO, kind: bytes, start: int, length: int) -> int:
    """Return the orientation that a text of a PNG tells; a text with another keyword is not read."""
    if not take(file, start, min(length, 32)).startswith(orientation.KEYWORDS):
        return orientation.UNTOLD
    return orientation.of_png_text(kind, take(file, start, min(length, MOST_BYTES)))


def without_animation(content: bytes) -> bytes:
    """Return an animated PNG as the still image that it also holds, which viewers without animation show."""
    kept = [content[:8]]
    for name, start, length in _png_chunks(BytesIO(content), len(content)):
        if name not in (b"acTL", b"fcTL", b"fdAT"):
            kept.append(content[start - 8 : start + length + 4])
    return b"".join(kept)


def _png_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of the content of every chunk."""
    position = 8
    for _ in range(MOST_PARTS):
        if position + 12 > size:
            return
        length, name = struct.unpack(">I4s", take(file, position, 8))
        if not name.isalpha():
            return
        yield name, position + 8, length
        position += 12 + length
    raise Unusable(f"damaged PNG: more than {MOST_PARTS:,} chunks")


def _png_profile(data: bytes) -> bytes:
    _, _, packed = data.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], MOST_BYTES)
    except zlib.error:
        return b""


def _jpeg(file: BinaryIO, size: int) -> Read:
    position, header, is_unusual = 2, None, False
    by_exif = by_xmp = orientation.UNTOLD
    profile: dict[bytes, bytes] = {}
    for _ in range(MOST_SEGMENTS):
        marker, length = struct.unpack(">HH", take(file, position, 4))
        if marker == 0xFFFF:  # a fill byte
            position += 1
            continue
        if marker < 0xFFC0 or length < 2:
            raise Unusable("damaged JPEG")
        if marker in JPEG_FRAMES:
            header = _jpeg_frame(file, position)
            is_unusual = marker not in USUAL_JPEG_FRAMES
        elif marker == 0xFFE1 and (data := take(file, position + 4, length - 2)).startswith(b"Exif\0\0"):
            by_exif = by_exif or orientation.of_exif(data)
        elif marker == 0xFFE1 and data.startswith(orientation.XMP_IN_JPEG):
            by_xmp = by_xmp or orientation.of_xmp(data)
        elif marker == 0xFFE2 and (data := take(file, position + 4, length - 2)).startswith(b"ICC_PROFILE\0"):
            profile[data[12:13]] = data[14:]
        if marker == 0xFFDA:
            break
        position += 2 + length
    if header is None:
        raise Unusable("damaged JPEG")
    header = replace(header, orientation=by_exif or by_xmp)

    # Within the compressed data no other FF D9 can stand, but in a thumbnail before it there can.
    def is_complete() -> bool:
        return _has(file, max(position, size - TAIL_BYTES), b"\xff\xd9") or _has(file, position, b"\xff\xd9")

    whole = b"".join(part for _, part in sorted(profile.items()))
    return Parsed(header, whole, is_unusual=is_unusual), is_complete


def _jpeg_frame(file: BinaryIO, position: int) -> Header:
    bits, height, width, channels = struct.unpack(">BHHB", take(file, position + 4, 6))
    _require_rgb("CMYK" if channels == 4 else "" if channels in (1, 3) else f"with {channels} channels")
    if bits != 8:
        raise Unusable(f"JPEG of {bits} bits is not supported, convert it to PNG")
    return Header(width, height, channels, bits)


def _webp(file: BinaryIO, size: int) -> Read:
    length = struct.unpack("<I", take(file, 4, 4))[0] + 8
    kind = take(file, 12, 4)
    parsed = None
    if kind == b"VP8X":
        parsed = _extended_webp(file, min(size, length))
    elif kind == b"VP8L":
        (packed,) = struct.unpack("<I", take(file, 21, 4))
        channels = 4 if packed >> 28 & 1 else 3
        parsed = Parsed(Header((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, channels, 8))
    elif kind == b"VP8 ":
        width, height = struct.unpack("<HH", take(file, 26, 4))
        parsed = Parsed(Header(width & 0x3FFF, height & 0x3FFF, 3, 8))
    if parsed is None:
        raise Unusable("damaged WebP")
    return parsed, lambda: length <= size


def _extended_webp(file: BinaryIO, end: int) -> Parsed:
    flags, width, height = struct.unpack("<B3x3s3s", take(file, 20, 10))
    width, height = (int.from_bytes(side, "little") + 1 for side in (width, height))
    by_exif = by_xmp = orientation.UNTOLD
    profile, position = b"", 30
    seen: set[bytes] = set()
    for _ in range(MOST_SEGMENTS if flags & 0x2C else 0):
        if position + 8 > end:
            break
        name, length = struct.unpack("<4sI", take(file, position, 8))
        if name in seen:
            pass
        elif name == b"EXIF":
            by_exif = orientation.of_exif(take(file, position + 8, min(length, MOST_BYTES)))
        elif name == b"XMP ":
            by_xmp = orientation.of_xmp(take(file, position + 8, min(length, MOST_BYTES)))
        elif name == b"ICCP":
            profile = take(file, position + 8, min(length, MOST_BYTES))
        seen.add(name)
        position += 8 + length + length % 2
    is_animated = bool(flags & 0x02)
    header = Header(width, height, 4 if flags & 0x10 else 3, 8, is_animated, by_exif or by_xmp)
    return Parsed(header, profile, Decoder.PILLOW if is_animated else Decoder.OPENCV)


def _bmp(file: BinaryIO, size: int) -> Read:
    (length,) = struct.unpack("<I", take(file, 2, 4))
    (head,) = struct.unpack("<I", take(file, 14, 4))
    form = "<HHHH" if head == 12 else "<iiHH"
    width, height, _, bits = struct.unpack(form, take(file, 18, struct.calcsize(form)))
    compression = 0 if head == 12 else struct.unpack("<I", take(file, 30, 4))[0]
    # Palettes, masks, 16 bits, run lengths: OpenCV shows them gray, with other colors, or not at all.
    is_usual = head != 12 and compression == 0 and bits in (24, 32)
    header = Header(width, abs(height), 3, 8)  # a negative height means top row first
    return Parsed(header, b"", Decoder.OPENCV if is_usual else Decoder.PILLOW, not is_usual), lambda: length <= size


def _tiff(file: BinaryIO, size: int) -> Read:
    tags = read_tiff_tags(file)
    photometric, samples, bits = tags.one(262, 1), tags.one(277, 1), tags.values.get(258, (1,))
    colors = {0: "", 1: "", 2: "", 3: "", 5: "CMYK", 6: ""}.get(photometric, f"number {photometric}")
    if any(kind != 1 for kind in tags.values.get(339, (1,))):
        colors = "with floating-point or signed numbers"
    _require_rgb(colors)
    if samples > 4 or max(bits) not in (1, 2, 4, 8, 16) or min(bits) != max(bits):
        raise Unusable(f"TIFF of {samples} channels and {max(bits)} bits is not supported, convert it to PNG")
    base = 1 if photometric in (0, 1, 3) else 3
    channels = (3 if photometric == 3 else base) + (samples > base)
    offsets = tags.values.get(STRIPS) or tags.values.get(TILES) or ()
    lengths = tags.values.get(STRIP_LENGTHS) or tags.values.get(TILE_LENGTHS) or ()
    header = Header(
        tags.one(256, 0), tags.one(257, 0), channels, max(8, *bits), tags.has_more, tags.one(ORIENTATION, 1)
    )
    parsed = _tiff_decoding(Parsed(header, bytes(tags.values.get(PROFILE, ()))), tags)
    return parsed, lambda: all(start + length <= size for start, length in zip(offsets, lengths, strict=False))


def _tiff_decoding(parsed: Parsed, tags: TiffTags) -> Parsed:
    """Choose the decoder that is right: OpenCV reads the usual kinds, Pillow all of 8 bits, nobody all of 16."""
    photometric, planar = tags.one(262, 1), tags.one(284, 1) == 2 and tags.one(277, 1) > 1
    is_premultiplied = parsed.header.has_alpha and ASSOCIATED in tags.values.get(EXTRA_SAMPLES, ())
    is_usual = tags.one(259, 1) in USUAL_COMPRESSIONS and photometric in (0, 1, 2) and not planar
    if parsed.header.bits == 16:
        if photometric in (3, 6):
            raise Unusable("TIFF of 16 bits with a palette or YCbCr is not supported, convert it to PNG")
        decoder = Decoder.PLANES if planar else Decoder.OPENCV
        return replace(
            parsed,
            decoder=decoder,
            is_unusual=not is_usual,
            inverted=photometric == 0,
            premultiplied=is_premultiplied,
        )
    is_usual = is_usual and not is_premultiplied and tags.one(258, 1) == 8
    return replace(parsed, decoder=Decoder.OPENCV if is_usual else Decoder.PILLOW, is_unusual=not is_usual)


def _require_rgb(problem: str) -> None:
    if problem:
        raise Unusable(f"color type {problem} is not supported, convert it to RGB")
