import time

import pytest
import torch

from traiNNer.engine.runtime.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_parts_add_up_and_begin_anew(clock):
    watch = Stopwatch(torch.device("cpu"))
    for seconds in (1.0, 2.0):
        with watch.part("forward"):
            clock[0] += seconds
        clock[0] += 10.0
    assert watch.read() == {"forward": 3.0}
    assert watch.read() == {}


def test_part_inside_itself_counts_once(clock):
    watch = Stopwatch(torch.device("cpu"))

    def inner():
        clock[0] += 1.0
        return "made"

    counted = watch.around(inner, "forward")
    with watch.part("forward"):
        assert counted() == "made"
        clock[0] += 1.0
    assert watch.read() == {"forward": 2.0}
    assert counted.__name__ == "inner"


def test_part_that_raises_is_counted(clock):
    def fail():
        clock[0] += 1.0
        raise ValueError("planted")

    watch = Stopwatch(torch.device("cpu"))
    with pytest.raises(ValueError, match="planted"):
        watch.around(fail, "update")()
    assert watch.read() == {"update": 1.0}
