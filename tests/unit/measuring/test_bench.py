"""A manually stepped run, on synthetic crops and on its own images."""

import math

import pytest
import torch
import torch.nn.functional as F
from bookkit import Book

from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import TrainingDiverged
from traiNNer.measuring import bench as module
from traiNNer.measuring.bench import Bench, release, synthetic_batches
from traiNNer.run.build import open_dataset


def test_synthetic_crops_follow_the_options_and_are_deterministic(options):
    (batch,) = synthetic_batches(options)
    assert (tuple(batch.lq.shape), tuple(batch.gt.shape)) == ((2, 12, 12, 3), (2, 24, 24, 3))
    assert (batch.lq.dtype, batch.seeds) == (torch.uint8, (0, 1))
    assert torch.equal(batch.gt, synthetic_batches(options)[0].gt)
    assert not torch.equal(batch.gt, synthetic_batches(options, seed=1)[0].gt)
    assert synthetic_batches(options, size=5)[0].lq.shape[0] == 5


def test_synthetic_lq_is_the_mean_of_gt(options):
    (batch,) = synthetic_batches(options)
    gt, lq = (images.permute(0, 3, 1, 2).float() for images in (batch.gt, batch.lq))
    assert (F.avg_pool2d(gt, 2) - lq).abs().max() <= 1.01


def test_every_micro_batch_of_an_iteration_is_computed(options):
    data = options.datasets["train"].model_copy(update={"accum_iter": 3})
    several = options.model_copy(update={"datasets": {**options.datasets, "train": data}})
    batches = synthetic_batches(several)
    assert len(batches) == 3
    assert not torch.equal(batches[0].gt, batches[1].gt)


def test_step_trains_and_returns_the_sum_of_the_losses(bench, options):
    batches = synthetic_batches(options)
    before = [p.detach().clone() for p in bench.training.learners["net_g"].parameters]
    first, *_, last = [bench.step(batches) for _ in range(8)]
    assert 0 < last < first
    assert any(not torch.equal(p, b) for p, b in zip(bench.training.learners["net_g"].parameters, before, strict=True))


def test_training_on_its_own_images_counts_iterations_and_their_seconds(bench):
    seconds = [bench.train(2), bench.train(1)]
    assert (bench.trained, bench.trained_s) == (3, pytest.approx(sum(seconds)))
    assert 0 < bench.waited_s < sum(seconds)


@pytest.mark.parametrize("diverges", ["raises", "is NaN"])
def test_diverging_trial_is_nan(bench, monkeypatch, diverges):
    def step(_):
        if diverges == "raises":
            raise TrainingDiverged("not finite")
        return math.nan

    monkeypatch.setattr(bench, "step", step)
    assert math.isnan(bench.train(2))


def test_score_uses_the_exported_weights(bench, options):
    bench.step(synthetic_batches(options))
    before = bench.score()
    assert 5 < before < 60
    assert bench.score() == before
    learner = bench.training.learners["net_g"]
    with torch.no_grad():
        for parameter in learner.network.parameters():
            parameter.zero_()
    assert bench.score() == before, "the EMA is what counts"
    with torch.no_grad():
        for parameter in learner.shipped.parameters():
            parameter.zero_()
    assert bench.score() != before


def test_closed_stream_can_be_restarted(bench, monkeypatch):
    bench.train(1)
    closed = []
    monkeypatch.setattr(bench._loader, "close", lambda: closed.append(1))
    bench.close()
    bench.close()
    assert closed == [1]
    assert bench.train(1) > 0


def test_released_items_are_gone(bench, options):
    release(options, bench)
    assert not {"training", "sets"} & set(vars(bench))
    assert (bench._stream, bench._loader) == (None, None)


def test_is_silent_and_never_splits_a_step(options, monkeypatch):
    seen = []
    real = module.assemble_training

    def assemble(*given, **more):
        seen.append((given[4], more))
        return real(*given, **more)

    monkeypatch.setattr(module, "assemble_training", assemble)
    Bench(options, {key: open_dataset(options, key, Book()) for key in options.datasets}).close()
    ((book, more),) = seen
    assert isinstance(book, Logbook)
    assert book.console.quiet
    assert more == {"may_split": False}
