"""Where the time of a run goes. Only intervals are used, so that a changed system clock changes nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds spent waiting for data and working on it since the last reading, without validation and saving."""

    def __init__(self) -> None:
        self._wait = self._work = 0.0
        self._iterations = 0
        self._started: float | None = None
        self._validating = 0.0
        self.validations = 0

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Count a block as a validation."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._validating += time.perf_counter() - started
            self.validations += 1

    def describe_validations(self) -> str:
        """Return how many validations there were and what they took of the time since data were first waited for."""
        total = self._validating if self._started is None else time.perf_counter() - self._started
        count = "1 validation" if self.validations == 1 else f"{self.validations:,} validations"
        return f"{count} took {self._validating:.1f} s, {self._validating / total:.0%} of the time"

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a block as waiting for data; with the first one the time of the run begins."""
        started = time.perf_counter()
        self._started = started if self._started is None else self._started
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
