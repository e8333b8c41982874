"""A lock between processes for a moment, by a file: the system takes it back from a process that dies."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

LOOK_EVERY_S = 0.001


@contextlib.contextmanager
def locked(path: Path, patience_s: float = 5.0) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is missing, while the block runs.

    Each call opens the file anew, as processes that were forked share what was open before.

    Raises:
        OSError: the file cannot be made or locked, or another process held it all the time.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(path, flags, 0o666)
    try:
        deadline = time.monotonic() + patience_s
        while not _try_to_lock(handle):
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, f"another process holds it for more than {patience_s:g} s", str(path))
            time.sleep(LOOK_EVERY_S)
        yield
    finally:
        os.close(handle)  # which gives the lock back


def _try_to_lock(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True
