"""How the threads that share one CPU operation wait for each other: they spin for a moment, and then sleep.

A thread that spins keeps its core while it waits. As soon as another program wants that core too, the one thread that
all others wait for is the one that does not run, and a step takes many times as long. A thread that sleeps at once has
to be woken for each of the many short operations of a small network, which costs a third of the pace of a quiet
machine. A short spin avoids both: docs/figures.md. OpenMP reads the choice when it is loaded, which torch does: it has
to be made before.
"""

import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OURS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "8000"}
"""Sleep while waiting; GNU's OpenMP, that of torch on Linux, first spins about as long as a short operation takes."""
VARIABLES = (*OURS, "KMP_BLOCKTIME")
"""Each of them decides how long threads spin: the standard's, GNU's and Intel's (also LLVM's)."""
OPENMP = re.compile(r"/lib(gomp|iomp5|omp)[-.]")


@dataclass(frozen=True)
class ThreadWaiting:
    """The variables that decide, whether traiNNer set them, and whether that came too late for a loaded OpenMP."""

    settings: dict[str, str]
    is_ours: bool
    is_late: bool


@cache
def let_threads_sleep() -> ThreadWaiting:
    """Let waiting threads sleep in this process and those that it starts, unless the user has decided.

    Importing `traiNNer` calls it, so that later calls only return what the first one did.
    """
    settings = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if settings:
        return ThreadWaiting(settings, is_ours=False, is_late=False)
    os.environ.update(OURS)
    return ThreadWaiting(dict(OURS), is_ours=True, is_late=_is_openmp_loaded())


def _is_openmp_loaded() -> bool:
    if "torch" in sys.modules:
        return True
    try:
        return OPENMP.search(Path("/proc/self/maps").read_text(errors="replace")) is not None
    except OSError:  # only Linux lists what is loaded, e.g. by LD_PRELOAD
        return False
