import torch

from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.measuring import limits
from traiNNer.measuring.limits import best_of, measure_limits


class Watch:
    def __init__(self):
        self.waits = 0

    def wait(self):
        self.waits += 1


def test_limits_are_operations_and_bytes_by_the_best_time(monkeypatch):
    monkeypatch.setattr(limits, "SIDES", {True: 8})
    monkeypatch.setattr(limits, "COPIED_BYTES", {True: 64})
    monkeypatch.setattr(limits, "best_of", lambda work, _: work() is not None and 0.5)
    found = measure_limits(Runtime(torch.device("cpu"), ""))
    assert (found.flops, found.bandwidth) == (2 * 8**3 / 0.5, 2 * 64 / 0.5)


def test_best_time_leaves_the_first_try_out_and_waits_for_the_device(monkeypatch):
    times = iter([0.0, 0.1, 1.0, 1.3, 2.0, 2.2, 3.0, 3.4, 4.0, 4.5, 5.0, 5.6])
    monkeypatch.setattr(limits.time, "perf_counter", lambda: next(times))
    watch, calls = Watch(), []
    assert round(best_of(lambda: calls.append(0), watch), 6) == 0.2
    assert (len(calls), watch.waits) == (limits.TRIES + 1, 2 * (limits.TRIES + 1))
