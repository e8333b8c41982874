"""The screen of a run. Nobody has to be there to read it."""

import errno
import os
import sys
from contextlib import suppress
from typing import Any

from traiNNer.utils.console import PlainConsole

GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO)
"""A reader that has left, a terminal that was closed: whatever is written later fails too."""


class _Output:
    """Standard output that loses what it cannot show: a closed terminal or a full disk must not end a run."""

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        try:
            return _stdout().write(text)
        except (OSError, ValueError) as error:
            _leave_if_gone(error)
            return len(text)

    def flush(self) -> None:
        """Show what was written, or lose it."""
        try:
            _stdout().flush()
        except (OSError, ValueError) as error:
            _leave_if_gone(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(_stdout(), name)


def screen(quiet: bool = False) -> PlainConsole:
    """Return the console of a run: lines as they are, never wrapped, and never an error."""
    return PlainConsole(file=_Output(), soft_wrap=True, quiet=quiet)


def drop_unwritten() -> None:
    """Lose what standard output still holds and cannot write: as the program ends it would change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _to_nowhere(stream)


def _stdout() -> Any:
    # While rich shows its progress, print() goes through rich.
    return getattr(sys.stdout, "rich_proxied_file", sys.stdout)


def _leave_if_gone(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in GONE:
        for stream in (_stdout(), sys.stderr):
            with suppress(OSError, ValueError):
                if stream is _stdout() or stream.isatty():
                    _to_nowhere(stream)


def _to_nowhere(stream: Any) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
