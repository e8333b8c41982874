import threading
import time

import pytest

from traiNNer.utils.threaded import threaded


def test_results_are_in_the_order_of_the_items():
    assert threaded(lambda n: n * n, range(500), 60, lambda _: -1) == [n * n for n in range(500)]
    assert threaded(lambda n: n, [], 60, lambda n: n) == []


def test_error_of_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        threaded(lambda n: 1 // n, [1, 0, 2], 60, lambda _: -1)


def test_blocked_items_are_given_up_after_a_while():
    blocked = threading.Event()
    done = threaded(lambda n: (blocked.wait() if n == 1 else None, n)[1], range(4), 0.6, lambda n: f"late {n}")
    blocked.set()
    assert done == [0, "late 1", 2, 3]


def test_interrupt_is_heard_while_all_threads_are_blocked(monkeypatch):
    blocked = threading.Event()

    def interrupt(*_):
        raise KeyboardInterrupt

    started = time.monotonic()
    monkeypatch.setattr("traiNNer.utils.threaded.time.monotonic", interrupt)
    with pytest.raises(KeyboardInterrupt):
        threaded(lambda _: blocked.wait(), range(100), 60, lambda _: None)
    monkeypatch.undo()
    assert time.monotonic() - started < 5
    assert all(thread.daemon for thread in threading.enumerate() if "run" in thread.name)
    blocked.set()
