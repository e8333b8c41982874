"""The first directory of a TIFF, which is also the form of EXIF data: read within bounds, whatever it claims."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

TYPES = {1: "B", 3: "H", 4: "I", 7: "B"}
STRIPS, STRIP_LENGTHS, TILES, TILE_LENGTHS = 273, 279, 324, 325
ORIENTATION, EXTRA_SAMPLES, PROFILE = 274, 338, 34675
MOST_VALUES = {
    **dict.fromkeys((256, 257, 258, 259, 262, ORIENTATION, 277, 278, 284, 317, 322, 323, EXTRA_SAMPLES, 339), 1024),
    **dict.fromkeys((STRIPS, STRIP_LENGTHS, TILES, TILE_LENGTHS), 1_000_000),
    PROFILE: 4 * 1024**2,
}
"""The tags that matter and how many values each may have: a directory may claim 65,535 tags of four billion values."""


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
    order = "<" if take(file, 0, 2) == b"II" else ">"
    (first,) = struct.unpack(f"{order}I", take(file, 4, 4))
    (count,) = struct.unpack(f"{order}H", take(file, first, 2))
    entries = take(file, first + 2, 12 * count)
    values, places = {}, {}
    for start in range(0, 12 * count, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", entries, start)
        if tag in values or kind not in TYPES or not 0 < number <= MOST_VALUES.get(tag, 0):
            continue
        form = f"{order}{number}{TYPES[kind]}"
        length = struct.calcsize(form)
        inside = entries[start + 8 : start + 12]
        data = inside[:length] if length <= 4 else take(file, struct.unpack(f"{order}I", inside)[0], length)
        values[tag], places[tag] = struct.unpack(form, data), first + 10 + start
    file.seek(first + 2 + 12 * count)
    following = file.read(4)  # some writers of EXIF data leave it out
    return TiffTags(order, values, places, any(following))


def take(file: BinaryIO, position: int, length: int) -> bytes:
    """Read exactly `length` bytes from a position. Raises `EOFError` when there are fewer."""
    file.seek(position)
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


def one_plane(content: bytes, tags: TiffTags, plane: int) -> bytes:
    """Return a TIFF of one gray channel out of one that keeps its channels apart; its data stay where they are.

    Args:
        content: the whole file.
        tags: its first directory.
        plane: which channel.
    """
    kept = {tag: values for tag, values in tags.values.items() if tag not in (EXTRA_SAMPLES, PROFILE)}
    for tag in (STRIPS, STRIP_LENGTHS, TILES, TILE_LENGTHS):
        if tag in kept:
            each = len(kept[tag]) // tags.one(277, 1)
            kept[tag] = kept[tag][plane * each : (plane + 1) * each]
    kept |= {258: (tags.one(258, 1),), 262: (1,), 277: (1,), 284: (1,), 339: (1,), ORIENTATION: (1,)}
    return _with_directory(content, tags.order, kept)


def _with_directory(content: bytes, order: str, values: dict[int, tuple[int, ...]]) -> bytes:
    """Return a TIFF whose first directory is another one, appended at the end."""
    first = len(content) + len(content) % 2
    outside = first + 2 + 12 * len(values) + 4
    entries, more = struct.pack(f"{order}H", len(values)), b""
    for tag, numbers in sorted(values.items()):
        is_long = tag in (256, 257, 278, 322, 323, STRIPS, STRIP_LENGTHS, TILES, TILE_LENGTHS)
        packed = struct.pack(f"{order}{len(numbers)}{'I' if is_long else 'H'}", *numbers)
        entries += struct.pack(f"{order}HHI", tag, 4 if is_long else 3, len(numbers))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", outside + len(more))
            more += packed + bytes(len(packed) % 2)
    padded = content[:4] + struct.pack(f"{order}I", first) + content[8:] + bytes(len(content) % 2)
    return padded + entries + bytes(4) + more
