"""Images that are read while others are computed, and written while others are computed."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

from traiNNer.imaging.image_file import write_image

AHEAD = 2
WRITERS = 2
WAITING = 4
"""Images that may wait to be written: a disk that cannot keep up slows the validation and does not fill the memory."""
Result = TypeVar("Result")


class ReadAhead(Generic[Result]):
    """Makes results in order in one thread, a few before they are asked for; only that thread calls `read`.

    The thread is a daemon, so a read that hangs keeps nobody: whoever waits in `take` may leave with an exception.

    Args:
        read: makes the result of a place. What it raises is raised by `take`.
        places: all places, in order.
        ahead: how many results may lie ready.
    """

    def __init__(self, read: Callable[[int], Result], places: Sequence[int], ahead: int = AHEAD) -> None:
        self._read, self._places = read, places
        self._room = threading.Semaphore(ahead)
        self._done: SimpleQueue[tuple[Result | None, BaseException | None]] = SimpleQueue()
        self._is_over = False

    def __enter__(self) -> "ReadAhead[Result]":
        """Begin to read."""
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Read nothing more."""
        self._is_over = True
        self._room.release()

    def take(self) -> Result:
        """Return the next result, or raise what reading it raised."""
        result, error = self._done.get()
        self._room.release()
        if error is not None:
            raise error
        return result  # pyright: ignore[reportReturnType]

    def _run(self) -> None:
        for place in self._places:
            self._room.acquire()
            if self._is_over:
                return
            try:
                self._done.put((self._read(place), None))
            except BaseException as error:
                self._done.put((None, error))
                return


class ImageWriter:
    """Writes PNG files in threads. When its block is left, every file is written or has its error in `failed`."""

    def __init__(self, threads: int = WRITERS) -> None:
        self.failed: list[tuple[Path, OSError]] = []
        self._queue: Queue[tuple[Path, np.ndarray] | None] = Queue(WAITING)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> "ImageWriter":
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait until everything is written."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def write(self, path: Path, image: np.ndarray) -> None:
        """Write H, W, 3 RGB uint8 soon; the array must not change any more."""
        self._queue.put((path, image))

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                write_image(*item)
            except OSError as error:
                self.failed.append((item[0], error))
