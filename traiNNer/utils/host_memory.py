"""How the C library hands out memory for CPU tensors."""

import ctypes
import sys
from pathlib import Path

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let the process keep the memory it frees, for its next allocations. Returns whether the C library could be told.

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


def available_bytes() -> int:
    """Return the memory that this process could still get without swapping; 0 where the system does not tell."""
    found = [limit for limit in (_meminfo(), _cgroup()) if limit is not None]
    return min(found, default=0)


def peak_bytes() -> int:
    """Return the most memory that this process has used so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _cgroup() -> int | None:
    """Return what is left of a container's limit (control groups, version 2)."""
    try:
        folder = Path("/sys/fs/cgroup")
        limit, used = ((folder / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None
