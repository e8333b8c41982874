"""What the run and its data workers share, made so that a worker can be killed at any instant, as for lack of memory.

Python's own event has a lock that a process killed inside of `is_set` never gives back, and its queue waits for ever
for the rest of a message whose sender was killed. Both would hang the run instead of restarting the workers.
"""

import multiprocessing
import os
import struct
import sys
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from typing import Any

SILENCE_S = 30.0  # in the middle of a message; its sender writes as fast as it is read
BROKEN = "the message of a data worker broke off"


class WorkerContext(BaseContext):
    """The parts of a multiprocessing context that torch's loader takes: processes, queues and an event."""

    def __init__(self, method: str | None = None) -> None:
        self._context = multiprocessing.get_context(method)
        self.Process = self._context.Process  # pyright: ignore[reportAttributeAccessIssue] # every one has it

    def Queue(self, maxsize: int = 0) -> Any:  # noqa: N802 - the name that torch calls
        """Return a queue that raises `EOFError` for a message that broke off."""
        # Windows writes a message whole or not at all.
        return self._context.Queue(maxsize) if sys.platform == "win32" else WholeQueue(maxsize, ctx=self._context)

    def Event(self) -> Any:  # noqa: N802 - the name that torch calls
        """Return an event that can be set and read, not waited for."""
        return Flag(self._context)


class Flag:
    """An event without a lock: a semaphore that is only ever raised, which leaves nothing to hold."""

    def __init__(self, context: BaseContext) -> None:
        self._raised = context.Semaphore(0)

    def set(self) -> None:
        """Set the event for all processes."""
        self._raised.release()

    def is_set(self) -> bool:
        """Tell whether a process has set the event."""
        return not self._raised._semlock._is_zero()  # pyright: ignore # macOS has no public reading


class WholeQueue(Queue):
    """A queue of whole messages: one that broke off is an error instead of a wait for ever."""

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset(after_fork)  # pyright: ignore[reportAttributeAccessIssue]
        self._recv_bytes = partial(receive, self._reader)  # pyright: ignore[reportAttributeAccessIssue]


def receive(connection: Connection) -> bytes:
    """Return the next message, in the frame that `Connection.send_bytes` gives it.

    Raises:
        EOFError: no byte came for `SILENCE_S` in the middle of it, or its senders are gone.
    """
    (size,) = struct.unpack("!i", _read(connection, 4))
    if size == -1:  # 2 GiB or more
        (size,) = struct.unpack("!Q", _read(connection, 8))
    return _read(connection, size)


def _read(connection: Connection, missing: int) -> bytes:
    chunks = []
    while missing:
        chunk = os.read(connection.fileno(), missing) if connection.poll(SILENCE_S) else b""
        if not chunk:
            raise EOFError(BROKEN)
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)
