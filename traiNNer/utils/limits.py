"""Limits that the shell or a batch system has set for a process, recognized in the errors that they cause."""

import errno
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from traiNNer.errors import OutOfMemory, RunError, TooFewAddresses, TooFewHandles

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
LEAST_ADDRESSES, FOR_CUDA = 2_500_000_000, 2_500_000_000
"""Bytes of address space for torch and a tiny run, and for torch's CUDA libraries: 4.7 GB were measured with both."""


def require_addresses() -> None:
    """Raise `TooFewAddresses` where this process may have less address space than torch and a tiny run need.

    To be called before torch is imported: with a little too few addresses it aborts, and some threads wait for ever.
    """
    limit, needed = address_limit(), LEAST_ADDRESSES + (FOR_CUDA if _has_cuda_libraries() else 0)
    if limit is not None and limit < needed:
        raise TooFewAddresses(
            f"Too little address space: this process may have {limit / 1e9:.1f} GB, and torch and the smallest run "
            f"need {needed / 1e9:.1f} GB, most of which they never use. Raise or remove the limit (ulimit -v)."
        )


def address_limit() -> int | None:
    """Return how many bytes of address space this process may have; None without a limit."""
    if resource is None or not hasattr(resource, "RLIMIT_AS"):
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _has_cuda_libraries() -> bool:
    """Whether the installed torch loads libraries for CUDA, found out without importing it."""
    spec = find_spec("torch")
    return bool(spec and spec.origin and (Path(spec.origin).parent / "lib" / "libtorch_cuda.so").exists())


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
        f"Too few file handles: this process may have {_handle_limit()} files open at once. Raise the limit "
        "(ulimit -n 4096), or lower num_worker_per_gpu."
    )


def limit_error(error: BaseException) -> RunError | None:
    """Return what ends a run where a limit of this process caused an error; None for any other error."""
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        words = words_of(one).lower() if isinstance(one, OSError | RuntimeError | ImportError) else ""
        if number in (errno.EMFILE, errno.ENFILE) or any(part in words for part in HANDLES):
            return _too_few_handles()
        is_limited = isinstance(one, MemoryError) and address_limit() is not None
        if is_limited or number == errno.ENOMEM or any(part in words for part in MEMORY):
            return _out_of_memory(words_of(one))
    return None


def _out_of_memory(words: str) -> OutOfMemory:
    limit, cure = address_limit(), "fewer data workers and a smaller batch"
    said = f"Out of memory: {words}." if words else "Out of memory."
    if limit is None:
        return OutOfMemory(f"{said} Close other programs, or use {cure}.")
    return OutOfMemory(
        f"{said} The limit of this process is {limit:,} bytes of address space (ulimit -v): raise or remove it, or use "
        f"{cure}."
    )


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


def _handle_limit() -> str:
    if resource is None:
        return "a limited number of"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return "unlimited" if soft == resource.RLIM_INFINITY else f"{soft:,}"
