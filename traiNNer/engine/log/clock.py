"""Where the time of a run goes. Only intervals are used, so that a changed system clock changes nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds spent waiting for data and working on it since the last reading, without validation and saving."""

    def __init__(self) -> None:
        self._wait = self._work = 0.0
        self._iterations = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a block as waiting for data."""
        started = time.perf_counter()
        yield
        self._wait += time.perf_counter() - started

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a block as one iteration's work."""
        started = time.perf_counter()
        yield
        self._work += time.perf_counter() - started
        self._iterations += 1

    def read(self) -> tuple[float, float]:
        """Return iterations per second and the share of time spent waiting for data; start anew."""
        total = self._wait + self._work
        speed = self._iterations / total if total else 0.0
        share = self._wait / total if total else 0.0
        self._wait = self._work = 0.0
        self._iterations = 0
        return speed, share
