"""Stop signals: the first one asks the loop to finish its iteration and save, the second one ends at once."""

import os
import signal
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupted_by(number: int) -> str:
    """Return how a message names a stop signal: by its keys where the user pressed some."""
    return f"Interrupted ({'Ctrl+C' if number == signal.SIGINT else signal.Signals(number).name})"


class StopSignals:
    """Remembers the first stop signal in `received` while the block runs (0: none)."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopSignals":
        """Start listening."""
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the signals back to whoever handled them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
