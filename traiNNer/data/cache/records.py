"""The index of a store: one record of 72 bytes for every image, appended whole, checked when it is read.

| bytes | what                                                    |
|-------|---------------------------------------------------------|
| 16    | BLAKE2b of the file's path below the root               |
| 8     | its modification time in nanoseconds                    |
| 8     | its size in bytes                                       |
| 8     | where its pixels begin                                  |
| 4, 4  | height and width                                        |
| 8     | bytes of a value: 1 or 2                                |
| 8     | checksum of the pixels                                  |
| 8     | checksum of the record                                  |
"""

import hashlib
import os
import struct
from dataclasses import dataclass

import numpy as np

LAYOUT = struct.Struct("<16sqqqIIqQ")
WORDS = LAYOUT.size // 8 + 1
SIZE = 8 * WORDS
KEY_BYTES = 16
_ROW = 509
"""Words of which sums are taken one by one: odd, so that pages which changed places are noticed, too."""
_WEIGHTS = (np.arange(WORDS - 1, dtype=np.uint64) * np.uint64(2) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file changed: its modification time in nanoseconds, and its size in bytes."""

    mtime_ns: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Return that of a file."""
        return cls(status.st_mtime_ns, status.st_size)


@dataclass(frozen=True, slots=True)
class Record:
    """Where the pixels of an image are, H, W, 3 of `depth` bytes each, and of which state of its file."""

    key: bytes
    stamp: Stamp
    offset: int
    height: int
    width: int
    depth: int
    checksum: int

    @property
    def length(self) -> int:
        """Return how many bytes its pixels take."""
        return self.height * self.width * 3 * self.depth

    def packed(self) -> bytes:
        """Return the record as it stands in the index."""
        stamp = self.stamp
        body = LAYOUT.pack(
            self.key, stamp.mtime_ns, stamp.size, self.offset, self.height, self.width, self.depth, self.checksum
        )
        check = _checks(np.frombuffer(body, np.uint64)[None])
        return body + check.tobytes()


def key_of(name: str) -> bytes:
    """Return the key of a path below the root."""
    return hashlib.blake2b(os.fsencode(name), digest_size=KEY_BYTES).digest()


class Records:
    """The newest record of every image, out of the bytes of an index; unpacked where one is asked for."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._places: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def extend(self, data: bytes) -> int:
        """Add records in their order, but those that are not as they were written. Returns how many these are."""
        whole = data[: len(data) // SIZE * SIZE]
        words = np.frombuffer(whole, np.uint64).reshape(-1, WORDS)
        is_possible = (words[:, 6] == 1) | (words[:, 6] == 2)
        good = np.flatnonzero((_checks(words[:, :-1]) == words[:, -1]) & is_possible)
        begin = len(self._data)
        self._data += whole
        for place in (good * SIZE).tolist():
            self._places[whole[place : place + KEY_BYTES]] = begin + place
        return len(words) - len(good)

    def place(self, key: bytes) -> int | None:
        """Return which record is that of an image, counted from 0 over all that were read; None without one."""
        place = self._places.get(key)
        return None if place is None else place // SIZE

    def at(self, place: int) -> Record:
        """Return a record."""
        key, mtime_ns, size, *where = LAYOUT.unpack_from(self._data, place * SIZE)
        return Record(key, Stamp(mtime_ns, size), *where)

    def drop(self, key: bytes) -> None:
        """Forget an image."""
        self._places.pop(key, None)

    def live_bytes(self) -> int:
        """Return how many bytes the pixels of all images take."""
        places = np.fromiter(self._places.values(), np.int64, len(self._places)) // SIZE
        words = np.frombuffer(bytes(self._data), np.uint64).reshape(-1, WORDS)[places]
        sides, depth = words[:, 5], words[:, 6]
        return int(((sides & np.uint64(0xFFFFFFFF)) * (sides >> np.uint64(32)) * np.uint64(3) * depth).sum())


def _checks(words: np.ndarray) -> np.ndarray:
    mixed = words * _WEIGHTS
    return (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64) ^ np.uint64(0x7261694E4E65720A)


def checksum(pixels: np.ndarray) -> int:
    """Return a checksum of an array as it lies in memory, at about the speed of memory.

    It is to notice damage, not an attack: the sums of words that stand 509 apart, and a hash of these sums.
    """
    data = pixels.reshape(-1).view(np.uint8)
    whole = data[: data.size // (8 * _ROW) * 8 * _ROW]
    sums = whole.view(np.uint64).reshape(-1, _ROW).sum(axis=0, dtype=np.uint64)
    rest = data[whole.size :].tobytes()
    digest = hashlib.blake2b(sums.tobytes() + rest, digest_size=8).digest()
    return int.from_bytes(digest, "little")
