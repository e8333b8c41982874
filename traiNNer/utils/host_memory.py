"""How the C library hands out memory for CPU tensors."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let the process keep the memory it frees, for its next allocations. Returns whether the C library accepted it.

    By default glibc gives each large block back to the kernel and gets it zeroed, page by page, in the next step of
    training, whose tensors have the same sizes again: about a quarter of a CPU step. Call once, at start; the process
    holds on to its peak. Other C libraries are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # In this order: 2 GiB of free memory may stay, growth comes in steps of 64 MiB, no block is mapped by itself.
    settings = ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * 2**20), (_MMAP_MAX, 0))
    return min(mallopt(parameter, value) for parameter, value in settings) == 1


def peak_bytes() -> int:
    """Return the most memory that this process has used so far."""
    # Not what getrusage says: on Linux a child starts with the peak of its parent there.
    if (peak := _in_status("VmHWM")) is not None:
        return peak
    if peak := getattr(psutil.Process().memory_info(), "peak_wset", None):  # Windows
        return peak
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def growth(call: Callable[[], object]) -> int:
    """Return by how many bytes this process was larger, at the most, while `call` ran.

    What other threads take meanwhile counts too. Where the peak so far cannot be forgotten, the answer is too large.
    """
    before = psutil.Process().memory_info().rss
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # makes the present size the peak
    call()
    return max(0, peak_bytes() - before)


def _in_status(key: str) -> int | None:
    """Return bytes that Linux tells of this process; None on other systems."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
    return None
