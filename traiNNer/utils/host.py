"""The memory and the cores that this process may use: the machine's, or those of its container."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from traiNNer.utils.cgroups import cpu_quota, memory_limit


@dataclass(frozen=True)
class Memory:
    """Bytes of memory in all and free; `limited` where a control group allows less than the machine has."""

    total: int
    available: int | None
    limited: bool = False


@dataclass(frozen=True)
class Cores:
    """Cores of the machine, those this process may run on, and how many cores' time its control group allows."""

    machine: int
    allowed: int
    quota: float | None = None

    @property
    def usable(self) -> int:
        """How many cores this process can keep busy, at least one."""
        return max(1, self.allowed if self.quota is None else min(self.allowed, int(self.quota)))


def cores(root: Path = Path("/")) -> Cores:
    """Return the cores of the machine and those that this process may use."""
    machine = os.cpu_count() or 1
    # Not every system can tie a process to cores.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    return Cores(machine, allowed, cpu_quota(root))


def memory(root: Path = Path("/")) -> Memory:
    """Return the memory that this process may use: the machine's, or its container's where that is less."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    limit = memory_limit(root)
    if limit is None or limit[0] >= total:
        return Memory(total, available)
    return Memory(limit[0], min(limit[1], available), limited=True)


def free_memory() -> int | None:
    """Return the bytes that this process could still get; None where the system does not report it."""
    try:
        return memory().available
    except (AttributeError, OSError, KeyError, ValueError):  # a container without /proc/meminfo
        return None
