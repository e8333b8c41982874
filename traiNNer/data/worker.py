"""The processes that read images: deaf to stop signals, and never left behind by the run that started them."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
PR_SET_PDEATHSIG = 1  # of prctl, from Linux's prctl.h


def start_worker(_: int) -> None:
    """Leave stop signals to the main process, which finishes its iteration and then ends the workers itself.

    A terminal sends its Ctrl+C to a whole group of processes, a batch system its terminate signal to all of them.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    for name in STOP_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _die_with_the_run()


def kill(workers: Iterable[Any]) -> None:
    """End workers at once, even those that hang in a read."""
    ending = list(workers)
    for worker in ending:
        worker.kill()
    for worker in ending:
        worker.join()


def _die_with_the_run() -> None:
    """Have Linux kill this worker when the run ends in whatever way: one that hangs in a read would outlive it."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
