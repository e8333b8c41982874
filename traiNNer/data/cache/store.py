"""Decoded images of one folder in one file that only grows, read through memory maps, by any number of processes.

A folder holds `pixels` (images one after the other, each at a multiple of 4096 bytes), `index` (see `records.py`),
`lock`, and `about.json`. Who adds an image writes, under the lock, its pixels and then its record: a process that dies
in between leaves an unused place. Pixels that are damaged are found by their checksum, which each process compares
once, when it first reads the image.
"""

import errno
import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from traiNNer.data.cache.records import SIZE, Record, Records, Stamp, checksum
from traiNNer.utils.file_lock import locked
from traiNNer.utils.files import open_own

PIXELS, INDEX, LOCK = "pixels", "index", "lock"
ALIGNMENT = 4096
PATIENCE_S = 1.0
"""How long an image waits for others that are being written; then it is not kept."""
MOST_RESIDENT = 256 * 2**20
"""Bytes of mapped pages after which they are handed back: they stay in the system's memory, and out of ours."""


class Store:
    """The decoded images of one folder. What cannot be read or written is as if it were not there.

    Args:
        folder: where it is, or will be; made with the first image.
    """

    def __init__(self, folder: Path) -> None:
        self._handles: dict[str, int] = {}
        self.folder = folder
        self.damaged = 0
        self.refusal = ""
        self._records = Records()
        self._map: mmap.mmap | None = None
        self._read_until = 0
        self._touched = 0
        self._proven = bytearray()
        self._guard = threading.Lock()
        self._refresh()

    def __len__(self) -> int:
        return len(self._records)

    def after_fork(self) -> None:
        """Get ready in another process: a lock may have been held while it was forked."""
        self._guard = threading.Lock()

    def count(self) -> int:
        """Return how many images there are now."""
        self._refresh()
        return len(self._records)

    def live_bytes(self) -> int:
        """Return how many bytes the newest record of every image speaks of."""
        return self._records.live_bytes()

    def size(self) -> int:
        """Return how many bytes its images take, with those that are no longer used."""
        handle = self._open(PIXELS)
        return 0 if handle is None else os.fstat(handle).st_size

    def find(self, key: bytes, stamp: Callable[[], Stamp], height: int, width: int) -> np.ndarray | None:
        """Return an image, H, W, 3, that cannot be written to; None where that state of the file is not here.

        `stamp` is asked, and the checksum compared, only where this process has not read the image before.
        """
        place = self._records.place(key)
        if place is not None and self._proven[place]:
            image = self._view(self._records.at(place))
            if image is not None and image.shape[:2] == (height, width):
                return image
        wanted = stamp()
        if not self._has(key, wanted, height, width) and not (
            self._refresh() and self._has(key, wanted, height, width)
        ):
            return None
        return self._proved(key)

    def _has(self, key: bytes, stamp: Stamp, height: int, width: int) -> bool:
        place = self._records.place(key)
        record = None if place is None else self._records.at(place)
        return record is not None and (record.stamp, record.height, record.width) == (stamp, height, width)

    def _proved(self, key: bytes) -> np.ndarray | None:
        """Return an image whose pixels are as they were written; a damaged one is forgotten."""
        place = self._records.place(key)
        assert place is not None
        record = self._records.at(place)
        image = self._view(record)
        if image is None or checksum(image) != record.checksum:
            self.damaged += 1
            self._records.drop(key)
            return None
        self._proven[place] = 1
        return image

    def add(self, key: bytes, stamp: Stamp, image: np.ndarray) -> bool:
        """Keep an image, H, W, 3, uint8 or uint16. Returns whether that succeeded; `refusal` says why not."""
        image = np.ascontiguousarray(image)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self.folder / LOCK, PATIENCE_S):
                self._refresh()  # another process may have been quicker
                if not self._has(key, stamp, *image.shape[:2]):
                    self._append(key, stamp, image)
                    self._refresh()
                    self._proven[-1] = 1
        except OSError as error:
            if error.errno != errno.ETIMEDOUT:
                self.refusal = (error.strerror or str(error)).lower()
            return False
        return True

    def _append(self, key: bytes, stamp: Stamp, image: np.ndarray) -> None:
        """Write the pixels, then the record. Raises `OSError`."""
        pixels, index = self._opened(PIXELS), self._opened(INDEX)
        begin = -(-os.fstat(pixels).st_size // ALIGNMENT) * ALIGNMENT
        _write(pixels, image.reshape(-1).view(np.uint8).data, begin)
        height, width = image.shape[:2]
        record = Record(key, stamp, begin, height, width, image.dtype.itemsize, checksum(image))
        end = os.fstat(index).st_size // SIZE * SIZE  # a record of which only a part was written is replaced
        _write(index, memoryview(record.packed()), end)

    def _view(self, record: Record) -> np.ndarray | None:
        end = record.offset + record.length
        if self._map is None or len(self._map) < end:
            self._map = self._mapped(end)
        if self._map is None:
            return None
        self._touched += record.length
        if self._touched > MOST_RESIDENT and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        kind = np.dtype(np.uint8 if record.depth == 1 else np.uint16)
        values = np.frombuffer(self._map, kind, record.length // kind.itemsize, record.offset)
        return values.reshape(record.height, record.width, 3)

    def _mapped(self, end: int) -> mmap.mmap | None:
        """Map the whole file; None where it ends before `end`, as one that was cut off does."""
        handle = self._open(PIXELS)
        if handle is None or os.fstat(handle).st_size < end:
            return None
        try:
            return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # a limit of this process's address space
            return None

    def _refresh(self) -> bool:
        """Read the records that were added since. Returns whether there were any."""
        with self._guard:
            handle = self._open(INDEX)
            if handle is None:
                return False
            try:
                end = os.fstat(handle).st_size // SIZE * SIZE
                if end <= self._read_until:
                    return False
                data = _read(handle, self._read_until, end)
            except (OSError, ValueError):
                return False
            self.damaged += self._records.extend(data)
            self._read_until += len(data)
            self._proven += bytes(len(data) // SIZE)
            return True

    def _opened(self, name: str) -> int:
        """Return a handle for writing. Raises `OSError`."""
        handle = self._open(name, os.O_RDWR | os.O_CREAT)
        if handle is None or self.refusal:
            raise OSError(errno.EACCES, self.refusal, str(self.folder / name))
        return handle

    def _open(self, name: str, flags: int = os.O_RDWR) -> int | None:
        """Return a handle, for writing where that is allowed; None where there is no such file."""
        if name not in self._handles:
            for mode in dict.fromkeys((flags, os.O_RDONLY)):
                try:
                    self._handles[name] = open_own(self.folder / name, mode | getattr(os, "O_BINARY", 0))
                    break
                except FileNotFoundError:
                    return None
                except OSError as error:
                    self.refusal = (error.strerror or str(error)).lower()
        return self._handles.get(name)

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        """Travel to another process, which opens the files itself."""
        return Store, (self.folder,)

    def __del__(self) -> None:
        for handle in self._handles.values():
            os.close(handle)


def _write(handle: int, data: memoryview, offset: int) -> None:
    """Write all of it. Raises `OSError`, where writing to a map would end the process: the disk is full, say."""
    while data:
        if hasattr(os, "pwrite"):
            written = os.pwrite(handle, data, offset)
        else:  # Windows
            os.lseek(handle, offset, os.SEEK_SET)
            written = os.write(handle, data)
        data, offset = data[written:], offset + written


def _read(handle: int, begin: int, end: int) -> bytes:
    # A copy of the handle would share its position with the processes that were forked.
    with mmap.mmap(handle, end, access=mmap.ACCESS_READ) as whole:
        return whole[begin:end]
