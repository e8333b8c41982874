"""Limits that the shell or a batch system has set for a process, recognized in the errors that they cause."""

import errno
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from traiNNer.errors import OutOfMemory, RunError, TooFewHandles

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

OPEN = Path("/proc/self/fd")
HANDLES = ("too many open files", "items of ancdata")
"""Words of the system, and of Python where a file that another process handed over was lost."""
MEMORY = ("failed to map segment", "cannot allocate memory", "can't start new thread")
"""Words of the dynamic linker, of the system, and of Python."""


def require_handles(count: int) -> None:
    """Raise the limit of open files to what the system allows. Raises `TooFewHandles` if `count` more are too many."""
    if resource is None or not OPEN.is_dir():
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(list(OPEN.iterdir())) + count
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise _too_few_handles()
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _too_few_handles() -> TooFewHandles:
    return TooFewHandles(
        f"Too few file handles: this process may have {_limit('RLIMIT_NOFILE')} files open at once. Raise the limit "
        "(ulimit -n 4096), or lower num_worker_per_gpu."
    )


def limit_error(error: BaseException) -> RunError | None:
    """Return what ends a run where a limit of this process caused an error; None for any other error."""
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        words = words_of(one).lower() if isinstance(one, OSError | RuntimeError | ImportError) else ""
        if number in (errno.EMFILE, errno.ENFILE) or any(part in words for part in HANDLES):
            return _too_few_handles()
        if number == errno.ENOMEM or any(part in words for part in MEMORY):
            return OutOfMemory(
                f"Out of memory: {words_of(one)}. The limit of this process is {_limit('RLIMIT_AS')} bytes of address "
                "space (ulimit -v): raise or remove it, or use fewer data workers and a smaller batch."
            )
    return None


def words_of(error: BaseException) -> str:
    """Return the words of an error, whose class may be somebody else's and have none."""
    try:
        return str(error)
    except Exception:
        return "an error without words"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _limit(name: str) -> str:
    if resource is None or not hasattr(resource, name):
        return "a limited number of"
    soft, _ = resource.getrlimit(getattr(resource, name))
    return "unlimited" if soft == resource.RLIM_INFINITY else f"{soft:,}"
