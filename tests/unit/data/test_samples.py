"""Samples other than image pairs, from the loader through a step, its retry and validation."""

import numpy as np
import pytest
import torch
from enginekit import learner_of
from torch import nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.data.loader import TrainLoader
from traiNNer.data.transfer import collate
from traiNNer.engine.control.knobs import MICRO_BATCH, Knobs
from traiNNer.engine.evaluation.evaluation import Evaluation
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import Stepper
from traiNNer.errors import DataError
from traiNNer.metrics.psnr import PSNR
from traiNNer.models.protocol import MAIN, PhaseLoss, TrainableModel

SHAPES = {"still": (4, 4, 3), "clip": (3, 4, 4, 3)}
RUNTIME = Runtime(torch.device("cpu"), "test", memory_format=torch.channels_last)


class Made(ImageSet):
    """Samples of one shape, with only the requested sides."""

    def __init__(self, sides=("lq", "gt"), shape="still"):
        self.sides, self.shape = sides, SHAPES[shape]

    def __len__(self):
        return 10

    def sample(self, index, rng):
        lq = rng.integers(0, 256, self.shape, np.uint8)
        gt = lq.repeat(2, -3).repeat(2, -2)
        return Sample(lq if "lq" in self.sides else None, gt if "gt" in self.sides else None, f"{index}")

    def whole(self, index):
        return self.sample(index, np.random.default_rng(index))

    def fingerprint(self):
        return {}


def batches(dataset, workers=0, **options):
    loader = TrainLoader(dataset, **{"seed": 3, "batch_size": 4, "total_iter": 3, "workers": workers} | options)
    try:
        return [batch for step in loader for batch in step]
    finally:
        loader.close()


@pytest.mark.parametrize("sides", [("gt",), ("lq",), ("lq", "gt")])
@pytest.mark.parametrize("shape", SHAPES)
def test_samples_pass_loader_workers_and_transfer(sides, shape):
    alone, read = batches(Made(sides, shape)), batches(Made(sides, shape), workers=2)
    for first, second in zip(alone, read, strict=True):
        assert (first.keys, first.seeds) == (second.keys, second.seeds)
        moved = RUNTIME.move(second)
        for side in ("lq", "gt"):
            one, two, floats = (getattr(batch, side) for batch in (first, second, moved))
            assert (one is not None) == (side in sides)
            if one is not None:
                assert torch.equal(one, two)
                assert torch.equal(floats, one.movedim(-1, -3).float() / 255)
                assert shape == "clip" or floats.is_contiguous(memory_format=torch.channels_last)


def test_seeds_depend_on_epoch_and_image_only():
    seeds = [seed for batch in batches(Made(), batch_size=5, total_iter=4) for seed in batch.seeds]
    assert len(set(seeds)) == 20  # two epochs of ten images
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert [seed for batch in batches(Made(), batch_size=2, total_iter=10) for seed in batch.seeds] == seeds
    assert [seed for batch in batches(Made(), batch_size=5, total_iter=4, seed=4) for seed in batch.seeds] != seeds


def test_mismatched_samples_are_named():
    image, small = np.zeros((4, 4, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    for samples, message in (
        ([Sample(image, image, "a"), Sample(image, None, "b")], "GT images of one batch differ: 4 x 4 x 3 for a, none"),
        ([Sample(image, None, "a"), Sample(small, None, "b")], "LQ images of one batch differ: .*2 x 2 x 3 for b"),
        ([Sample(None, None, "a")], "a has neither an LQ image nor a ground truth"),
    ):
        error = collate(samples)
        assert isinstance(error, DataError)
        with pytest.raises(DataError, match=message):
            raise error


class Degrading(TrainableModel):
    """Makes LQ from GT depending on the seeds; can run out of memory with more than two images."""

    def __init__(self, network, fails):
        self.network, self.fails, self.noise = network, fails, {}

    def phases(self, batch, iteration):
        if self.fails and len(batch.keys) > 2:
            raise torch.OutOfMemoryError
        draws = [torch.rand(1, generator=torch.Generator().manual_seed(seed)) for seed in batch.seeds]
        self.noise |= dict(zip(batch.keys, (draw.item() for draw in draws), strict=True))
        lq = batch.gt[..., ::2, ::2] + torch.stack(draws).view(-1, *[1] * (batch.gt.ndim - 1))
        yield PhaseLoss({"l1": (self.network(lq) - batch.gt[..., ::2, ::2]).abs().mean()})


class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, lq):
        return lq * self.gain


def trained(fails, shape):
    network, knobs = Gain(), Knobs(batch_size=4)

    def halve():
        knobs[MICRO_BATCH].set(2, 0)
        return True

    model = Degrading(network, fails)
    learner = learner_of(network, torch.optim.SGD(network.parameters(), 0.1), knobs)
    stepper = Stepper(model, {MAIN: learner}, RUNTIME, knobs, on_out_of_memory=halve)
    stepper.step(batches(Made(("gt",), shape), total_iter=1), 1)
    return network.gain.item(), model.noise


@pytest.mark.parametrize("shape", SHAPES)
def test_gt_only_trains_and_a_retried_step_draws_the_same(shape):
    plain, noise = trained(False, shape)
    split, again = trained(True, shape)
    assert plain != 0.5
    assert split == pytest.approx(plain, abs=1e-6)
    assert again == noise
    assert len(set(noise.values())) == 4


def upscale(lq):
    return lq.repeat_interleave(2, -1).repeat_interleave(2, -2)


def evaluate(dataset, **options):
    saved = {}
    one = Evaluation("val", dataset, {"psnr": PSNR(2, crop_border=0)}, 2, RUNTIME, **options)
    return one.run(upscale, lambda key, image: saved.update({key: image})), saved


def test_lq_only_is_upscaled_and_saved_without_scores():
    dataset = Made(("lq",))
    scores, saved = evaluate(dataset)
    assert scores.mean() == {}
    for index in range(10):
        assert np.array_equal(saved[f"{index}"], dataset.whole(index).lq.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("tile_size", [0, 2])
def test_clip_is_scored_and_saved_per_frame(tile_size):
    dataset = Made(shape="clip")
    scores, saved = evaluate(dataset, tile_size=tile_size)
    assert len(saved) == len(scores.images) == 30
    assert np.array_equal(saved["4/0002"], dataset.whole(4).gt[2])
    assert {values["psnr"] for values in scores.images.values()} == {float("inf")}


def test_gt_only_cannot_be_validated():
    with pytest.raises(DataError, match="val: 0 has no LQ image to upscale"):
        evaluate(Made(("gt",)))


def test_metric_gets_requested_arguments():
    class Brightness:
        direction, needs_target = "higher", False

        def __call__(self, lq, output):
            return float(output.mean() - lq.mean())

    scores = Evaluation("val", Made(("lq",)), {"it": Brightness()}, 2, RUNTIME).run(upscale)
    assert scores.mean()["it"] == pytest.approx(0, abs=1e-9)


class Film(Made):
    """Clips of three frames whose ground truth is the middle one; the fourth frame begins another scene."""

    is_film = True

    def __init__(self):
        super().__init__(shape="clip")

    def __len__(self):
        return 6

    def sample(self, index, rng):
        sample = super().sample(index, rng)
        previous = "" if index in (0, 3) else f"{index - 1}"
        return Sample(sample.lq, sample.gt[1], sample.key, previous=previous)


class Change:
    """The mean of what output and ground truth change from the frame before."""

    direction, needs_target = "lower", True

    def __call__(self, output, target, previous_output, previous_target):
        return float(output.mean() - previous_output.mean() + 10 * (target.mean() - previous_target.mean()))


def middle(clip):
    assert clip.ndim == 5
    return upscale(clip[:, clip.shape[1] // 2])


@pytest.mark.parametrize("tile_size", [0, 2])
def test_middle_frame_is_scored_and_compared_with_the_one_before(tile_size):
    dataset, saved = Film(), {}
    metrics = {"psnr": PSNR(2, crop_border=0), "change": Change()}
    one = Evaluation("val", dataset, metrics, 2, RUNTIME, tile_size)
    scores = one.run(middle, lambda key, image: saved.update({key: image}))
    assert list(saved) == [f"{index}" for index in range(6)]
    assert np.array_equal(saved["4"], dataset.whole(4).gt)
    means = [dataset.whole(index).gt.mean() for index in range(6)]
    for index in range(6):
        values = scores.images[f"{index}"]
        assert values["psnr"] == float("inf")
        assert ("change" in values) == (index not in (0, 3))
        assert "psnr_bicubic" in values
        if "change" in values:
            assert values["change"] == pytest.approx(11 * (means[index] - means[index - 1]))
            assert values["change_bicubic"] != values["change"]
    changes = [11 * (means[index] - means[index - 1]) for index in (1, 2, 4, 5)]
    assert scores.mean()["change"] == pytest.approx(np.mean(changes))


def test_clips_train_the_model_by_their_middle_frame():
    from traiNNer.engine.reference import BicubicReference
    from traiNNer.models.restoration import RestorationModel

    seen = {}

    def losses(**given):
        seen.update(given)
        return {"l1": (given["output"] - given["target"]).abs().mean()}

    model = RestorationModel({MAIN: middle}, {MAIN: middle}, losses)
    (batch,) = [RUNTIME.move(one) for one in batches(Film(), total_iter=1)]
    (phase,) = model.phases(batch, 1)
    assert float(phase.total()) == 0
    assert torch.equal(seen["lq"], batch.lq[:, 1])
    assert torch.equal(seen["output_ema"](), batch.gt)
    reference = BicubicReference(lambda output, target: (output - target).abs().mean(), 2)
    assert 0 < float(reference(batch)) < 1
