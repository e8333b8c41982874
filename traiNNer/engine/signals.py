"""Stop signals: the first one asks the loop to finish its iteration and save, the second one ends at once."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

ALWAYS = (signal.SIGINT, signal.SIGTERM)
UNLESS_IGNORED = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""A closed terminal, and the warning of a batch system. `nohup` ignores the first, and so does the run then."""
Handler = Callable[[int, FrameType | None], object]


class StoppedWaiting(BaseException):
    """A stop signal arrived while the run waited for something that may never come."""


def interrupted_by(number: int) -> str:
    """Return how a message names a stop signal: by its keys where the user pressed some."""
    return f"Interrupted ({'Ctrl+C' if number == signal.SIGINT else signal.Signals(number).name})"


def listen(handler: Handler) -> dict[signal.Signals, object]:
    """Let `handler` answer every stop signal that is not to be ignored. Returns the handlers before.

    Only the main thread may set handlers; in another one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    heard = [number for number in UNLESS_IGNORED if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in (*ALWAYS, *heard)}


def leave_at_once(number: int, _: FrameType | None = None) -> None:
    """End the process and its data workers, which may hang in a read and would stay; nothing is printed."""
    end_process(128 + number)


def end_process(code: int) -> NoReturn:
    """End the process and its data workers with an exit code, waiting for nothing."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(code)


class StopSignals:
    """Remembers the first stop signal in `received` while the block runs (0: none)."""

    def __init__(self) -> None:
        self.received = 0
        self._is_waiting = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopSignals":
        """Start listening."""
        self._before = listen(self._on_signal)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the signals back to whoever handled them before."""
        for number, handler in self._before.items():
            if handler is not None:  # one that was not set from Python cannot be set again
                signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    @contextmanager
    def answered_at_once(self) -> Iterator[None]:
        """Leave a block as soon as a stop signal arrives: with `StoppedWaiting`, wherever in it that is.

        A callback of libvips continues; the next check of `received` answers.
        """
        self._is_waiting = True
        try:
            if self.received:
                raise StoppedWaiting
            yield
        finally:
            self._is_waiting = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            leave_at_once(number)
        self.received = number
        if self._is_waiting and not _is_in_callback(frame):
            self._is_waiting = False
            raise StoppedWaiting


def _is_in_callback(frame: FrameType | None) -> bool:
    """Whether pyvips is at work, whose callbacks no exception can leave: it would be printed, and lost."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "pyvips":
            return True
        frame = frame.f_back
    return False
