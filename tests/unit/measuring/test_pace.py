"""The choice of the number of data workers, and the measured times."""

from types import SimpleNamespace

import pytest

from traiNNer.measuring import pace as module


@pytest.fixture
def measure(monkeypatch):
    """Return a function that measures simulated runs: iterations per second and waiting by number of workers."""

    def use(runs, decoded_mb=10.0):
        tried = []

        def train(options, sets, all_in_memory):
            tried.append((options, all_in_memory))
            it_per_s, waiting = runs[options]
            return module._Run(options, round(it_per_s * 6), 6.0, waiting)

        monkeypatch.setattr(module, "_with_workers", lambda options, count: count)
        monkeypatch.setattr(module, "_train", train)
        monkeypatch.setattr(module, "_decode_seconds", lambda dataset: 7.0)
        monkeypatch.setattr(module, "_measure_overhead", lambda *_: module._Overhead(2.0, 0.5, 0.1))
        options = SimpleNamespace(datasets={"train": {"cache_mb": 16}})
        return module.measure_pace(options, {"train": None}, list(runs), decoded_mb, lambda _: None), tried

    return use


def test_no_more_workers_are_tried_without_waiting(measure):
    found, tried = measure({0: (10, 0.02), 2: (20, 0.0)})
    assert (found.workers, found.it_per_s, found.tried) == (0, 10, {0: 10})
    assert (found.trained, found.trained_s, found.waiting) == (60, 6.0, 0.02)
    assert (found.validation_s, found.first_validation_s, found.save_s) == (2.0, 0.5, 0.1)
    assert tried == [(0, True)]


def test_worker_count_must_be_clearly_faster_than_the_best(measure):
    found, _ = measure({0: (100, 0.5), 2: (102, 0.3), 8: (200, 0.2)})
    assert (found.workers, found.tried) == (8, {0: 100, 2: 102, 8: 200})
    found, _ = measure({0: (100, 0.5), 2: (102, 0.3), 8: (103, 0.2)})
    assert found.workers == 0


def test_reading_counts_at_start_only_with_a_full_cache(measure):
    assert measure({0: (10, 0.0)})[0].decode_s == 7.0
    assert measure({0: (10, 0.0)}, decoded_mb=20)[0].decode_s == 0.0
    # Two workers have half of the memory each.
    found, tried = measure({0: (10, 0.5), 2: (20, 0.0)})
    assert (found.workers, found.decode_s) == (2, 0.0)
    assert tried == [(0, True), (2, False)]
