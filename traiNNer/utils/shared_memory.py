"""Whether the system has what processes need to talk to each other: semaphores, which take room in shared memory."""

import multiprocessing
from pathlib import Path

SHARED = Path("/dev/shm")
"""Where Linux keeps it. Containers often have 64 MiB there, some nothing at all."""
PER_QUEUE, PER_EVENT = 3, 1
"""Semaphores behind a queue and an event of data workers."""


def semaphores_for(workers: int) -> int:
    """Return how many semaphores torch's loader needs for so many data workers, and some more."""
    return PER_QUEUE * (workers + 1) + 2 * PER_EVENT


def refusal(workers: int, start_method: str | None = None) -> str | None:
    """Try to make the semaphores of data workers. Returns the system's words where it cannot, in lower case."""
    context = multiprocessing.get_context(start_method)
    try:
        held = [context.Semaphore(0) for _ in range(semaphores_for(workers))]
    except OSError as error:
        return (error.strerror or str(error)).lower()
    del held
    return None
