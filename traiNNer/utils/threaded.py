"""Work for several threads that can be left at once: a blocked read neither keeps the process nor Ctrl+C waiting."""

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

THREADS = 8
LOOK_EVERY_S = 0.5
Item = TypeVar("Item")
Result = TypeVar("Result")


def threaded(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    patience_s: float,
    late: Callable[[Item], Result],
    threads: int = THREADS,
) -> list[Result]:
    """Return what `work` makes of every item, in their order.

    The threads are daemons: an exception of the caller's thread, such as Ctrl+C, leaves them behind where they are.

    Args:
        work: called with one item in one of the threads. What it raises is raised here.
        items: what to work on.
        patience_s: after so many seconds in which no item is finished, the others are given up.
        late: makes the result of an item that was begun and given up, or never begun.
        threads: how many items are worked on at once.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
    for place in range(len(items)):
        waiting.put(place)

    def run() -> None:
        while True:
            try:
                place = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((place, work(items[place]), None))
            except BaseException as error:
                done.put((place, None, error))

    for _ in range(min(threads, len(items))):
        threading.Thread(target=run, daemon=True).start()
    results, last = {}, time.monotonic()
    try:
        while len(results) < len(items) and time.monotonic() - last < patience_s:
            try:
                place, result, error = done.get(timeout=LOOK_EVERY_S)
            except Empty:
                continue
            if error is not None:
                raise error
            results[place], last = result, time.monotonic()
    finally:
        while not waiting.empty():  # whoever is still at work finds nothing more to do
            try:
                waiting.get_nowait()
            except Empty:
                break
    return [results[place] if place in results else late(item) for place, item in enumerate(items)]
