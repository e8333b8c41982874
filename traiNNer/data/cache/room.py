"""How many bytes of decoded images there is room for: on the disk, and in the memory that crops are read from."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from traiNNer.utils.files import nearest_existing
from traiNNer.utils.host import free_memory

MEMORY_SHARE = 0.8
"""How much of the free memory decoded images may fill: it keeps their pages, and gives them up for anything else."""
RESERVE_SHARE, MOST_RESERVE = 0.05, 2 * 2**30
"""What is left free of a disk: a share of it, and no more than so many bytes."""
IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class Room:
    """How many bytes decoded images may take, those that are there included, and what limits them."""

    limit: int
    because: str


def room_for(folder: Path, taken: int, most: int | None, is_auto: bool, root: Path = Path("/")) -> Room:
    """Return the room for decoded images.

    Args:
        folder: where they are, or will be kept.
        taken: bytes that are there already.
        most: what the user allows; None leaves it to disk and memory.
        is_auto: whether they should fit into memory, where the user has not said how many to keep.
        root: where the system's file tree begins; tests plant one of their own.
    """
    free = free_memory() or 0
    limits = [(taken + max(0, free_on_disk(folder)), "disk")]
    if is_on_memory(folder, root):
        limits.append((taken + int(MEMORY_SHARE * free), "memory"))
    elif is_auto and most is None and free:
        limits.append((int(MEMORY_SHARE * free), "memory"))
    if most is not None:
        limits.append((most, "cache_mb"))
    limit, because = min(limits)
    return Room(limit, because)


def free_on_disk(folder: Path) -> int:
    """Return the bytes that may still be written there: what is free, less a reserve. Negative: it is used already."""
    try:
        usage = shutil.disk_usage(nearest_existing(folder))
    except OSError:
        return 0
    return usage.free - min(MOST_RESERVE, int(RESERVE_SHARE * usage.total))


def is_on_memory(folder: Path, root: Path = Path("/")) -> bool:
    """Return whether a folder is no place on a disk but takes memory itself, as Linux tells it."""
    where, best, kind = str(folder.absolute()), "", ""
    try:
        lines = (root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        _, place, filesystem = [*line.split()[:3], "", "", ""][:3]
        inside = where == place or where.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, filesystem
    return kind in IN_MEMORY


def is_writable(folder: Path) -> str:
    """Return why a folder cannot be written, or made; nothing where it can."""
    existing = nearest_existing(folder)
    return "" if os.access(existing, os.W_OK | os.X_OK) else f"{existing} cannot be written"
