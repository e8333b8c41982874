"""The probe against its definition in float64, and that measuring leaves no trace."""

import math
import random

import numpy as np
import pytest
import torch
from bookkit import Book
from torch import nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.engine.evaluation.probe import HELD_OUT, LARGEST, TRAINING, Probe, choose_crops, read_crops
from traiNNer.engine.runtime.runtime import Runtime


class Images(ImageSet):
    """Random pairs of given sizes; every reading is noted, and draws random numbers as a careless set would."""

    def __init__(self, *sizes, scale=2, crop_size=4, dtype=np.uint8, broken=()):
        rng = np.random.default_rng(0)
        most = np.iinfo(dtype).max
        self.pairs = [
            [rng.integers(0, most, (factor * h, factor * w, 3), dtype, endpoint=True) for factor in (1, scale)]
            for h, w in sizes
        ]
        self.crop_size, self.broken, self.read = crop_size, broken, []

    def __len__(self):
        return len(self.pairs)

    def sample(self, index, rng):
        raise AssertionError("the crops are fixed")

    def whole(self, index):
        self.read.append(index)
        torch.rand(1), np.random.rand(), random.random()
        if index in self.broken:
            raise OSError("a lost disk")
        return Sample(*self.pairs[index], f"image {index}")

    def fingerprint(self):
        return {"count": len(self)}


class Net(nn.Module):
    """Upscales twice with dropout and batch statistics, so that the mode matters."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.Dropout(0.5), nn.PixelShuffle(2)
        )
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return self.body(x)


def probe_of(network, average=None, crops=None, most=math.inf, book=None):
    crops = crops or read_crops([Images((12, 10))], 8, 4, 2)
    runtime = Runtime(torch.device("cpu"), "")
    return Probe(crops, crops[:3], network, average, runtime, book or Book(), lambda: most)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_errors_are_the_log_of_the_rmse_of_each_crop(dtype):
    live, average = Net(1), Net(2)
    crops = read_crops([Images((12, 10), dtype=dtype)], 8, 4, 2)
    probe = probe_of(live, average, crops)
    found = probe.held_out()
    peak = np.iinfo(dtype).max
    for errors, network in zip(found, (live, average), strict=True):
        assert len(errors) == 8
        for error, crop in zip(errors, crops, strict=True):
            lq = torch.from_numpy(crop.lq.astype(np.float64) / peak).movedim(-1, 0).unsqueeze(0)
            with torch.no_grad():
                output = network.double().eval()(lq)[0].movedim(0, -1).numpy()
            expected = math.log(math.sqrt(np.mean((output - crop.gt / float(peak)) ** 2)))
            assert error == pytest.approx(expected, abs=2e-6)
    assert probe_of(live.float(), average.float(), crops).training() == pytest.approx(found[1][:3], abs=2e-6)


def test_measuring_leaves_no_trace():
    network = Net(1).train()
    network.body[1].eval()  # a module may have its own mode
    probe = probe_of(network, Net(2).train())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    probe.held_out(), probe.training()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(("most", "batches"), [(math.inf, [8]), (6, [4, 4]), (1, [1] * 8)])
def test_batches_are_no_larger_than_the_micro_batch_and_of_one_size(most, batches):
    network = Net(1)
    errors, _ = probe_of(network, most=most).held_out()
    assert network.batches == batches
    assert errors == pytest.approx(probe_of(network).held_out()[0], abs=1e-5)


def test_without_an_average_weights_are_measured_once():
    network = Net(1)
    live, average = probe_of(network).held_out()
    assert live == average
    assert network.batches == [8]


def test_output_that_is_not_finite_has_no_error_and_a_perfect_one_has_a_number():
    network = Net(1)
    with torch.no_grad():
        network.body[0].bias.fill_(math.nan)
    assert all(math.isnan(value) for value in probe_of(network).held_out()[0])
    black = [Sample(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), "black")]
    assert probe_of(nn.Identity(), crops=black).held_out()[0] == pytest.approx([math.log(1e-6)])


class Full(nn.Module):
    """A network that does not fit."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_out_of_memory_switches_the_probe_off():
    network, book = Full().train(), Book()
    probe = probe_of(network, book=book)
    assert [probe.held_out(), probe.held_out()] == [None, None]
    assert probe.training() == []
    assert (network.calls, network.training) == (1, True)
    assert book.warnings == ["Out of memory while measuring the probe: it is off until the run is resumed."]


def test_other_errors_are_not_hidden():
    with pytest.raises(RuntimeError, match="size"):
        probe_of(nn.Conv2d(4, 3, 1)).held_out()


def test_crops_are_centers_of_evenly_chosen_images():
    """20 images of two sets: 8 crops of every second or third one."""
    first, second = Images(*[(8, 6)] * 5), Images(*[(8, 6)] * 15)
    crops = read_crops([first, second], 8, 4, 2)
    assert (first.read, second.read) == ([0, 2], [0, 2, 5, 7, 10, 12])
    lq, gt = second.pairs[0]
    assert np.array_equal(crops[2].lq, lq[2:6, 1:5])
    assert np.array_equal(crops[2].gt, gt[4:12, 2:10])
    assert crops[2].lq.base is None  # the whole image is not kept alive


def test_few_images_give_several_places_each():
    images = Images((12, 12), (12, 12))
    crops = read_crops([images], 8, 4, 2)
    assert images.read == [0, 1]
    assert [crop.key for crop in crops] == ["image 0"] * 4 + ["image 1"] * 4
    for place, crop in zip((1, 3, 5, 7), crops, strict=False):
        assert np.array_equal(crop.lq, images.pairs[0][0][place : place + 4, place : place + 4])


def test_images_that_do_not_fit_are_left_out():
    class Odd(Images):
        """A clip, an image without LQ, one without GT, and one of another scale."""

        def whole(self, index):
            sample = super().whole(index)
            odd = (sample.lq[None], sample.gt[None]), (None, sample.gt), (sample.lq, None), (sample.lq, sample.gt[1:])
            return Sample(*(*odd, (sample.lq, sample.gt))[index], sample.key)

    assert [crop.key for crop in read_crops([Odd(*[(8, 8)] * 5)], 5, 4, 2)] == ["image 4"]
    assert [crop.key for crop in read_crops([Images((8, 8), (3, 9), (8, 8), broken=[0])], 3, 4, 2)] == ["image 2"]
    assert read_crops([], 8, 4, 2) == read_crops([Images()], 8, 4, 2) == []


def test_training_images_stand_in_where_too_few_are_held_out():
    train, small = Images(*[(9, 9)] * 40), Images(*[(3, 9)] * 9)
    held_out, training, is_held_out = choose_crops(train, [small], 2)
    assert ([crop.key for crop in held_out[:3]], len(held_out), is_held_out) == (
        ["image 0", "image 5", "image 10"],
        HELD_OUT,
        False,
    )
    assert len(training) == TRAINING
    real = Images(*[(9, 9)] * 9)
    assert choose_crops(train, [small, real], 2)[0][0].lq.shape == (4, 4, 3)
    assert choose_crops(train, [real], 2)[2]
    real.has_gt = False
    assert not choose_crops(train, [real], 2)[2]
    train.crop_size = None
    assert choose_crops(train, [Images(*[(9, 9)] * 9)], 2) == ([], [], False)


def test_large_training_crops_do_not_make_the_probe_expensive():
    train = Images(*[(80, 90)] * 16)
    train.crop_size = 64
    held_out, training, is_held_out = choose_crops(train, [Images(*[(40, 50)] * 8)], 2)
    assert is_held_out  # images smaller than a training crop are large enough
    assert {crop.lq.shape for crop in held_out + training} == {(LARGEST, LARGEST, 3)}
    assert {crop.gt.shape for crop in held_out + training} == {(2 * LARGEST, 2 * LARGEST, 3)}


def test_crops_of_clips_have_the_place_in_every_frame():
    from traiNNer.engine.evaluation.probe import _cut

    clip = np.random.default_rng(0).integers(0, 256, (3, 10, 12, 3), np.uint8)
    target = clip[1].repeat(2, 0).repeat(2, 1)
    crop = _cut(Sample(clip, target, "a"), 0.5, 4, 2)
    assert np.array_equal(crop.lq, clip[:, 3:7, 4:8])
    assert np.array_equal(crop.gt, target[6:14, 8:16])
    assert _cut(Sample(clip, clip, "a"), 0.5, 4, 1) is None  # the ground truth is a clip
