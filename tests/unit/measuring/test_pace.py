"""The choice of the number of data workers, and the measured times."""

from types import SimpleNamespace

import pytest

from traiNNer.measuring import pace as module


@pytest.fixture
def measure(monkeypatch):
    """Return a function that measures simulated runs: iterations per second and waiting by number of workers."""

    def use(runs, decoded_mb=10.0, free_mb=1000, **train):
        tried = []

        def run(options, workers, sets, all_kept):
            tried.append((options, all_kept))
            it_per_s, waiting = runs[options]
            return module._Run(options, round(it_per_s * 6), 6.0, waiting)

        monkeypatch.setattr(module, "_with_workers", lambda options, count: count)
        monkeypatch.setattr(module, "_train", run)
        monkeypatch.setattr(module, "_decode_seconds", lambda dataset: 7.0)
        monkeypatch.setattr(module, "_measure_overhead", lambda *_: module._Overhead(2.0, 0.5, 0.1))
        monkeypatch.setattr(module, "free_memory", lambda: free_mb * 2**20)
        options = SimpleNamespace(datasets={"train": {"cache": "auto"} | train})
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


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, True),
        ({"cache": "off"}, False),
        ({"cache_mb": 9}, False),
        ({"cache_mb": 11}, True),
        ({"free_mb": 12}, False),
        ({"cache_mb": 100, "free_mb": 12}, False),
    ],
)
def test_decoding_counts_once_only_where_all_images_are_kept(measure, options, kept):
    found, tried = measure({0: (10, 0.5), 2: (20, 0.0)}, **options)
    assert (found.workers, found.decode_s) == (2, 7.0 if kept else 0.0)
    assert tried == [(0, kept), (2, kept)]
