"""The parts of a tiny run, counted by a clock that only moves when a part is computed."""

import pytest
import torch
from bookkit import Book

from traiNNer.engine.runtime.stopwatch import Stopwatch
from traiNNer.measuring import breakdown
from traiNNer.measuring.bench import synthetic_batches
from traiNNer.measuring.breakdown import BACKWARD, FORWARD, LOSSES, PARTS, UPDATE, Breakdown, count_flops, measure
from traiNNer.measuring.limits import Limits
from traiNNer.run.build import open_dataset


@pytest.fixture
def found(options, monkeypatch):
    monkeypatch.setattr(breakdown, "measure_limits", lambda _: Limits(1e12, 1e10))
    return measure(options, {key: open_dataset(options, key, Book()) for key in options.datasets}, seconds=0.0)


def test_every_part_of_a_run_is_found_and_nothing_is_written(found, tmp_path):
    assert tuple(name for name in PARTS if name in found.parts) == PARTS
    assert [
        name for name in (FORWARD, BACKWARD, UPDATE, LOSSES, "EMA", "validation") if not found.parts[name] > 0
    ] == []
    assert (found.images, found.validation_s > 0) == (2, True)
    assert not (tmp_path / "experiments").exists()


def test_operations_are_those_of_the_convolutions(bench, options):
    batches = synthetic_batches(options)
    seen = []
    network = bench.training.learners["net_g"].network
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, _, out: seen.append(2 * out.numel() * m.weight[0].numel()))
    flops = count_flops(bench.training, batches)
    assert sum(seen) < flops < 4 * sum(seen)  # backward computes up to twice as much as forward


def test_parts_are_watched_only_inside_the_block(bench, options):
    watch = Stopwatch(torch.device("cpu"))
    with breakdown.watched(bench.training, watch):
        bench.training.advance(synthetic_batches(options))
    assert {"transfer", "forward", "backward", "update", "EMA", "step"} <= watch.read().keys()
    bench.training.advance(synthetic_batches(options))
    assert watch.read() == {}


def test_least_times_come_of_the_limits():
    limits = Limits(flops=100.0, bandwidth=50.0)
    parts = dict.fromkeys(PARTS, 0.0) | {FORWARD: 2.0, BACKWARD: 4.0}
    found = Breakdown(parts, 300.0, {UPDATE: 25.0}, limits, "CPU", 8, 0.0)
    assert (found.least(FORWARD), found.least(BACKWARD), found.least(UPDATE)) == (1.0, 2.0, 0.5)
    assert found.least(LOSSES) is None
    assert (found.total, found.achieved) == (6.0, 0.5)
