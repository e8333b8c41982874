"""The images of a set, decoded once and kept where that pays, decoded for every crop where it does not."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from traiNNer.data.cache.places import default_base, describe, remove_folder, store_folder
from traiNNer.data.cache.records import Stamp, key_of
from traiNNer.data.cache.room import Room, free_on_disk, is_writable, room_for
from traiNNer.data.cache.store import Store
from traiNNer.imaging.image_file import Header

Rows = tuple[int, int]
"""The rows of an image that will be looked at: from the first to before the last."""
AUTO, OFF = "auto", "off"
QUICK_S = 0.001
"""An image that is decoded in less is not worth a place on the disk."""
TIMED = 3
WASTED_SHARE, LEAST_WASTED = 0.5, 64 * 2**20
"""A store is begun anew where more than this share of it is unused."""


class DecodedImages:
    """Returns the pixels of files, and keeps them by the rules of `cache` and `cache_mb`.

    Args:
        cache: `auto`, `off`, or a folder.
        cache_mb: most megabytes that are kept; None leaves it to disk and memory.
        decode: decodes a file, or only some of its rows where they are given and that is possible: H, W, 3. Raises
            `ImageError`.
        header: what is known of a file before it is decoded.
    """

    def __init__(
        self,
        cache: str,
        cache_mb: int | None,
        decode: Callable[[Path, Rows | None], np.ndarray],
        header: Callable[[Path], Header],
    ) -> None:
        self.decoded = 0
        self.state: Literal["unplanned", "off", "on", "full"] = "unplanned"
        self.line = ""
        self._cache, self._most = cache, None if cache_mb is None else cache_mb * 2**20
        self._decode, self._header = decode, header
        self._roots: Sequence[Path] = ()
        self._stores: dict[Path, Store] = {}
        self._starts: list[tuple[str, Store]] = []
        self._files: Sequence[Path] = ()
        self._base = Path()
        self._limit = 0

    def use(self, roots: Sequence[Path], files: Sequence[Path]) -> None:
        """Say which files will be asked for, and in which folders they are."""
        self._roots, self._files = roots, files
        self.state, self._stores = "unplanned", {}

    def after_fork(self) -> None:
        """Get ready in a data worker."""
        for store in self._stores.values():
            store.after_fork()

    def get(self, path: Path, rows: Rows | None = None) -> np.ndarray:
        """Return an image, H, W, 3, which must not be written to; of other rows than those asked for, anything.

        Raises:
            ImageError: it cannot be decoded.
        """
        if self.state == "unplanned":
            self.plan()
        found = None if self.state == "off" else self._find(path)
        if found is not None:
            return found
        self.decoded += 1
        if self.state != "on":
            return self._decode(path, rows)
        return self._decode_and_keep(path)

    def plan(self) -> str:
        """Decide whether images are kept, and where. Returns one line that says so; nothing where none are wanted."""
        self.state, self.line = "off", ""
        if self._cache == OFF or self._most == 0 or not self._files:
            return ""
        base = default_base() if self._cache == AUTO else Path(self._cache).expanduser()
        if base is None:
            self.line = "Decoded images are not kept: this user has no home folder. Name a folder: cache: <folder>."
            return self.line
        self._base = base
        deepest_first = sorted(self._roots, key=lambda root: -len(root.parts))
        self._stores = {root: self._store(store_folder(base, root)) for root in deepest_first}
        self._starts = [("" if root == Path() else f"{root}{os.sep}", one) for root, one in self._stores.items()]
        self.line = self._planned()
        return self.line

    def relief(self) -> str:
        """Return what a user can do to have fewer images decoded; nothing where all are kept."""
        kept = sum(store.count() for store in self._stores.values())
        if self.state == "off":
            return "keep decoded images (cache: auto, or a folder)" if self._files else ""
        if kept >= len(self._files):
            return ""
        if self.state == "full" or self._limit < sum(map(self._bytes_of, self._files)):
            return "keep more decoded images (cache_mb, or cache: <folder> on a larger disk)"
        return f"wait: {kept:,} of {len(self._files):,} images are decoded so far, and later epochs only read them"

    def _planned(self) -> str:
        needed = sum(self._bytes_of(path) for path in self._files)
        taken = sum(store.size() for store in self._stores.values())
        kept = min(len(self._files), sum(map(len, self._stores.values())))
        seconds = None if kept == len(self._files) else self._decoding_s()
        if self._cache == AUTO and seconds is not None and seconds < QUICK_S:
            return f"Decoded images are not kept: decoding one takes {1000 * seconds:.1f} ms."
        room = room_for(self._base, taken, self._most, self._cache == AUTO)
        if not kept and room.limit < self._bytes_of(self._files[0]):
            return f"Decoded images are not kept: there is no room in {self._base} ({room.because})."
        refusal = is_writable(self._base) or self._describe()
        if refusal and not kept:
            return f"Decoded images are not kept: {refusal}. Name another folder: cache: <folder>."
        self._limit, self.state = room.limit, "full" if refusal else "on"
        return self._told(needed, kept, seconds, room, refusal)

    def _told(self, needed: int, kept: int, seconds: float | None, room: Room, refusal: str) -> str:
        there = f", {kept:,} of {len(self._files):,} are there" if kept else ""
        why = "" if seconds is None else f"; decoding one takes {1000 * seconds:.0f} ms"
        line = f"Decoded images are kept in {self._base} ({needed / 2**30:.1f} GB{there}{why})."
        if refusal:
            return f"{line} No more are added: {refusal}."
        if room.limit < needed:
            line += f" There is room for {room.limit / needed:.0%} ({room.because}); others are decoded for every crop."
        return line

    def _decoding_s(self) -> float:
        """Return the seconds in which an image is decoded: the least of a few, as others may use the processor."""
        count = min(TIMED, len(self._files))
        seconds = []
        for place in range(count):
            path = self._files[place * len(self._files) // count]
            started = time.perf_counter()
            try:
                self._decode(path, None)
            except ValueError:  # it will be reported where it is used
                continue
            seconds.append(time.perf_counter() - started)
        return min(seconds, default=0.0)

    def _store(self, folder: Path) -> Store:
        """Open a store, without its content where most of that is unused."""
        store = Store(folder)
        size = store.size()
        if size > LEAST_WASTED and store.live_bytes() < (1 - WASTED_SHARE) * size and not store.refusal:
            remove_folder(folder)
            return Store(folder)
        return store

    def _describe(self) -> str:
        """Write down whose images are kept. Returns why that is not possible, if it is not."""
        try:
            for root, store in self._stores.items():
                describe(store.folder, root)
        except OSError as error:
            return f"{error.filename}: {(error.strerror or str(error)).lower()}"
        return ""

    def _bytes_of(self, path: Path) -> int:
        header = self._header(path)
        return header.height * header.width * 3 * (2 if header.bits > 8 else 1)

    def _located(self, path: Path) -> tuple[Store, bytes] | None:
        name = str(path)
        for start, store in self._starts:
            if name.startswith(start):
                return store, key_of(name[len(start) :])
        return None

    def _find(self, path: Path) -> np.ndarray | None:
        located = self._located(path)
        if located is None:
            return None
        store, key = located
        header = self._header(path)
        try:
            return store.find(key, lambda: Stamp.of(path.stat()), header.height, header.width)
        except OSError:  # whoever decodes it says what is wrong
            return None

    def _decode_and_keep(self, path: Path) -> np.ndarray:
        try:
            before = Stamp.of(path.stat())
        except OSError:
            return self._decode(path, None)
        image = self._decode(path, None)
        located = self._located(path)
        if located is not None and before == Stamp.of(path.stat()):
            self._keep(*located, before, image)
        return image

    def _keep(self, store: Store, key: bytes, stamp: Stamp, image: np.ndarray) -> None:
        taken = sum(one.size() for one in self._stores.values())
        has_room = taken + image.nbytes <= self._limit and free_on_disk(self._base) >= image.nbytes
        if not has_room or (not store.add(key, stamp, image) and store.refusal):
            self.state = "full"
