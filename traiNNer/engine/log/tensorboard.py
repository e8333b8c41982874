"""Curves and images for TensorBoard. Training never depends on them."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traiNNer.engine.run_folder import cause
from traiNNer.utils.printable import printable_name

WRITERS_THREAD = "_AsyncWriterThread"


class TensorBoard:
    """Writes event files until it fails for the first time.

    Args:
        place: their folder.
        start: the iteration that a run continues from; what was written after it is dropped.
        warn: gets one line when it fails.
    """

    def __init__(self, place: Path, start: int, warn: Callable[[str], None]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._warn = warn
        self._writer: Any = None
        _silence_its_thread()
        try:
            self._writer = SummaryWriter(str(place), purge_step=start + 1)
        except (OSError, ValueError, RuntimeError) as error:
            self._give_up(error)

    def add(self, method: str, name: str, *values: Any, **options: Any) -> None:
        """Call a method of torch's `SummaryWriter`, unless it has failed."""
        if not self._writer:
            return
        try:
            getattr(self._writer, method)(printable_name(name), *values, **options)
        except (OSError, ValueError, RuntimeError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what is left and close the files."""
        writer, self._writer = self._writer, None
        if not writer:
            return
        try:
            writer.close()
        except (OSError, ValueError, RuntimeError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._writer = None
        self._warn(f"TensorBoard is off: {cause(error) if isinstance(error, OSError) else error}. Training continues.")


def _silence_its_thread() -> None:
    """Keep the thread that writes from printing its traceback; the next call, or `close`, raises the same error."""
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_others


def _print_others(arguments: threading.ExceptHookArgs) -> None:
    if type(arguments.thread).__name__ != WRITERS_THREAD:
        threading.__excepthook__(arguments)
