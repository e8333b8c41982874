"""How long parts of an iteration take on the device, measured without waiting for it in between."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import torch


class Stopwatch:
    """Adds up the seconds of parts by name: of the host, or where the device works by itself, of the device.

    Args:
        device: where the parts are computed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[str, float] = defaultdict(float)
        self._marks: list[tuple[str, Any, Any]] = []
        self._open: dict[str, list[Any]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count a block."""
        self.start(name)
        try:
            yield
        finally:
            self.stop(name)

    def start(self, name: str) -> None:
        """Begin a part; one that is open already begins once more inside it."""
        self._open[name].append(self._mark())

    def stop(self, name: str) -> None:
        """End the part that began last under a name."""
        started = self._open[name].pop()
        if not self._open[name]:  # of a part inside itself, the outer one counts
            self._marks.append((name, started, self._mark()))

    def around(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function that does the same and is counted."""
        return wraps(call)(partial(self._counted, call, name))

    def _counted(self, call: Callable[..., Any], name: str, *values: Any, **named: Any) -> Any:
        with self.part(name):
            return call(*values, **named)

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()

    def read(self) -> dict[str, float]:
        """Wait for the device, and return the seconds of every part since the last reading."""
        self.wait()
        for name, started, ended in self._marks:
            self._seconds[name] += started.elapsed_time(ended) / 1000 if self._has_events else ended - started
        found, self._seconds, self._marks = dict(self._seconds), defaultdict(float), []
        return found

    @property
    def _has_events(self) -> bool:
        return self._device.type == "cuda"

    def _mark(self) -> Any:
        if not self._has_events:
            self.wait()  # of MPS; on the CPU everything is done when a call returns
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
