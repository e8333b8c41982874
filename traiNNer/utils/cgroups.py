"""What a Linux container lets its processes use: control groups, versions 1 and 2.

A limit may be set at the process's own group or at any group above it, so the whole way up is read. Inside a
container the path of the own group often does not exist in the mounted tree; then the root of the tree is the
container's own group. `root` is where the system's file tree begins; tests plant one of their own.
"""

from collections.abc import Iterator
from pathlib import Path

# Version 1 says "no limit" with a number near 2**63.
NO_LIMIT = 2**60


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many cores' time the process may use, e.g. 1.5; None without a limit."""
    quotas = []
    for folder in _groups(root, "cpu"):
        words = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]) > 0:
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_limit(root: Path = Path("/")) -> tuple[int, int] | None:
    """Return the tightest limit in bytes and how much of it is still free; None without a limit.

    Pages of files that were read once count as used by the group, but are released for other uses: they are free here.
    """
    limits = []
    for folder in _groups(root, "memory"):
        for limit_file, usage_file, key in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = _number(folder / limit_file), _number(folder / usage_file)
            if limit is not None and limit < NO_LIMIT:
                idle = _statistic(folder / "memory.stat", key)
                limits.append((limit, min(limit, max(0, limit - (used or 0) + idle))))
    if not limits:
        return None
    return min(limit for limit, _ in limits), min(free for _, free in limits)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the process's groups, innermost first, in every mounted version."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        names = controllers.split(",")
        if controllers and controller not in names:
            continue
        for base in _trees(root, controller if controllers else None):
            place = base / path.strip("/")
            yield from (folder for folder in (place, *place.parents) if folder.is_relative_to(base) and folder.is_dir())


def _trees(root: Path, controller: str | None) -> list[Path]:
    top = root / "sys/fs/cgroup"
    return [top / controller] if controller else [top, top / "unified"]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdigit() else None


def _statistic(path: Path, key: str) -> int:
    """Return one line's number of memory.stat, 0 where it is missing."""
    values = (line.split() for line in _lines(path))
    return next((int(words[1]) for words in values if len(words) == 2 and words[0] == key and words[1].isdigit()), 0)
