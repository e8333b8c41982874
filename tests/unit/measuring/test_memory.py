"""The largest micro-batch that fits: only tested sizes, from small to large."""

import pytest
import torch

from traiNNer.config.automation_options import AutomationOptions
from traiNNer.config.choice import AutomationChoice
from traiNNer.engine.evaluation.evaluation import SMALLEST_TILE
from traiNNer.engine.runtime.memory import Memory
from traiNNer.measuring import memory as module
from traiNNer.measuring.measured import Fit
from traiNNer.measuring.memory import TARGET, _validate, fitting_tile, largest_fit, sizes_up_to, target_of


class Options:
    """The options that are read."""

    def __init__(self, batch=8, tile=0):
        data = type("Data", (), {"batch_size_per_gpu": batch})
        self.datasets = {"train": data}
        self.val = type("Val", (), {"tile_size": tile, "tile_overlap": 16})
        self.train = type("Train", (), {"training_automations": None})


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [(1, [1]), (2, [1, 2]), (7, [1, 7]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 12]), (16, [1, 2, 4, 8, 16])],
)
def test_sizes_divide_the_step_and_grow(batch, sizes):
    assert sizes_up_to(batch) == sizes
    assert all(batch % size == 0 for size in sizes)


def fit(monkeypatch, train, batch=8):
    tried, reported = [], []

    def fake(options, sets, size, total_host):
        tried.append(size)
        return train(size)

    monkeypatch.setattr(module, "_train", fake)
    return largest_fit(Options(batch), {}, reported.append, lambda _: None), tried, reported


def test_all_sizes_fit(monkeypatch):
    best, tried, reported = fit(monkeypatch, lambda size: (size * 10, 1000))
    assert best == Fit(8, 80, 1000)
    assert tried == [1, 2, 4, 8]
    assert reported[-1] == best


def test_above_the_target_the_previous_size_is_used(monkeypatch):
    best, tried, _ = fit(monkeypatch, lambda size: (size * 220, 1000))
    assert best == Fit(2, 440, 1000, failed=4)
    assert tried == [1, 2, 4]


def test_after_oom_the_previous_size_is_used(monkeypatch):
    def train(size):
        if size > 4:
            raise torch.OutOfMemoryError
        return size, 1000

    best, _, _ = fit(monkeypatch, train)
    assert best == Fit(4, 4, 1000, failed=8)


def test_not_even_one(monkeypatch):
    def train(size):
        raise torch.OutOfMemoryError

    assert fit(monkeypatch, train)[0] is None


def test_other_errors_are_not_oom(monkeypatch):
    def train(size):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(monkeypatch, train)


def test_unknown_memory_accepts_every_size_that_runs(monkeypatch):
    assert fit(monkeypatch, lambda size: (0, 0))[0] == Fit(8, 0, 0)


def test_too_large_validation_image_is_tiled(monkeypatch):
    tried = []

    def validate(bench, size):
        tried.append(size)
        if max(size) > 300:
            raise torch.OutOfMemoryError
        return 0.5

    monkeypatch.setattr(module, "Bench", lambda *_: None)
    monkeypatch.setattr(module, "release", lambda *_: None)
    monkeypatch.setattr(module, "_validate", validate)
    assert fitting_tile(Options(), {}, (200, 280), lambda _: None) == 0
    assert tried == [(200, 280)]
    tried.clear()
    # 1000 whole; tiles of 500 and 250 read 16 pixels of context on each side.
    assert fitting_tile(Options(), {}, (400, 1000), lambda _: None) == 250
    assert tried == [(400, 1000), (400, 532), (282, 282)]


@pytest.mark.parametrize(("share", "tile"), [(0.5, 250), (0.85, 500), (1.0, 0)])
def test_tiles_are_halved_until_no_more_than_the_target_is_in_use(share, tile, monkeypatch):
    monkeypatch.setattr(module, "Bench", lambda *_: None)
    monkeypatch.setattr(module, "release", lambda *_: None)
    monkeypatch.setattr(module, "_validate", lambda bench, size: max(size) / 1000)
    monkeypatch.setattr(module, "target_of", lambda options: share)
    assert fitting_tile(Options(), {}, (400, 1000), lambda _: None) == tile


def test_the_smallest_tile_that_runs_is_taken_above_the_target(monkeypatch):
    monkeypatch.setattr(module, "Bench", lambda *_: None)
    monkeypatch.setattr(module, "release", lambda *_: None)
    monkeypatch.setattr(module, "_validate", lambda bench, size: 0.99)
    tile = fitting_tile(Options(), {}, (400, 1000), lambda _: None)
    assert SMALLEST_TILE <= tile < 2 * SMALLEST_TILE


@pytest.mark.filterwarnings("ignore:ParagonSR2 evaluates with identity kernels")
def test_the_share_is_that_of_the_peak_of_this_validation(bench):
    readings = [Memory(1000, 900, 800), Memory(1000, 640, 540)]
    bench.runtime.memory = lambda: readings.pop(0)
    assert _validate(bench, (16, 20)) == 0.64
    bench.runtime.memory = lambda: None
    assert _validate(bench, (16, 20)) == 0.0


def test_the_target_is_that_of_the_batch_automation():
    options = Options()
    assert target_of(options) == TARGET
    named = AutomationChoice(type="DynamicBatchSizeOptimizer", options={"target_vram_usage": 0.7})
    section = AutomationOptions(enabled=True, automations={"DynamicBatchSizeOptimizer": named})
    options.train.training_automations = section
    assert target_of(options) == 0.7
