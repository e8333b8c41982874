import math

import numpy as np
import pytest
import torch
from enginekit import stepper_of
from torch import nn

from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import MICRO_BATCH, Knobs
from traiNNer.engine.reference import upscale
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.suspicion import READ_EVERY, Explained, Suspicion, moved_share

KEYS = ("a", "b", "c")
GOOD, SHIFTED = [0.5, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.5]
RUNTIME = Runtime(torch.device("cpu"), "test")


def images(seed: int, count: int = 2, side: int = 16) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    lq, gt = (torch.rand(count, 3, edge, edge, generator=rng) for edge in (side, 2 * side))
    return Batch(lq, gt, KEYS[:count])


def rows(*values) -> torch.Tensor:
    return torch.tensor(values)


def noted(iterations, of) -> Suspicion:
    """Return what is known after iterations in each of which every image is seen; `of` gives their rows."""
    suspicion = Suspicion(KEYS, RUNTIME)
    for iteration in iterations:
        suspicion.note(iteration, KEYS, rows(*of(iteration)))
    return suspicion


def test_what_is_added_is_compared_with_what_is_missing_inside_of_two_pixels_of_lq():
    batch, output = images(0), images(1).gt
    found = Explained(2)(output, batch)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    lq, gt, made = (images.double().mean(1, keepdim=True) for images in (batch.lq, batch.gt, output))
    bicubic = upscale(lq, 2)[inner].numpy()
    added, missing = made[inner].numpy() - bicubic, gt[inner].numpy() - bicubic
    for place in range(2):
        expected = [
            (one[place] * two[place]).mean() for one, two in ((added, missing), (added, added), (missing, missing))
        ]
        assert found[place, :3].tolist() == pytest.approx(expected, rel=1e-4)
        slopes = np.gradient(bicubic[place], axis=(-2, -1))
        matrix = np.stack([slope.ravel() for slope in slopes], 1)
        fit = matrix @ np.linalg.lstsq(matrix, missing[place].ravel(), rcond=None)[0]
        assert found[place, 3].item() == pytest.approx((fit**2).mean(), rel=1e-3)


def test_small_shift_is_explained_nearly_completely_and_noise_is_not():
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    wave = torch.sin(y / 5) * torch.cos(x / 7)
    moved = torch.sin((y - 0.3) / 5) * torch.cos((x + 0.2) / 7) - wave
    noise = torch.randn(48, 48, generator=torch.Generator().manual_seed(0))
    missing = torch.stack([moved, noise]).flatten(1)
    shares = moved_share(torch.stack([wave, wave]).unsqueeze(1), missing) / missing.square().mean(1)
    assert shares[0] > 0.98
    assert shares[1] < 0.01


def test_sizes_that_cannot_be_compared_are_not_noted():
    batch = images(0)
    assert Explained(2)(batch.lq, batch) is None
    assert Explained(2)(images(0, side=4).gt, images(0, side=4)) is None
    suspicion = Suspicion(KEYS, RUNTIME)
    suspicion.note(3, KEYS, None)
    suspicion.note(3, KEYS, rows(GOOD))  # a row for one of three
    assert suspicion.worst(3) == []


def test_least_explained_image_comes_first():
    assert noted((5, 6), lambda _: (GOOD, SHIFTED, [0.9, 1.0, 1.0, 0.0])).worst(2) == [1, 0]


def test_only_what_came_after_the_power_of_two_before_the_last_counts():
    early, late = (SHIFTED, GOOD, GOOD), (GOOD, GOOD, SHIFTED)
    suspicion = noted(range(1, 19), lambda iteration: early if iteration < 8 else late)
    assert suspicion.worst(1) == [2]
    assert suspicion._sums[:, :, -1].tolist() == [[8.0] * 3, [3.0] * 3]  # 8 to 15, and 16 to 18
    assert suspicion._sums.sum(0)[0, 3] == 0  # image a was suspicious before iteration 8 only


def test_numbers_that_are_not_finite_strangers_and_single_visits_do_not_count():
    suspicion = Suspicion(KEYS, RUNTIME)
    for iteration in (5, 6, 7):
        suspicion.note(
            iteration, ("a", "stranger"), rows([math.nan, 1.0, 1.0, 1.0] if iteration == 5 else GOOD, SHIFTED)
        )
    suspicion.note(7, ("b",), rows(SHIFTED))
    assert suspicion.worst(3) == [0]
    assert suspicion._sums.sum(0)[0].tolist() == [1.0, 2.0, 2.0, 0.0, 2.0]


def test_the_device_is_read_once_in_a_while(monkeypatch):
    reads = []
    suspicion = Suspicion(KEYS, RUNTIME)
    read = suspicion._read
    monkeypatch.setattr(suspicion, "_read", lambda: (reads.append(len(suspicion._noted)), read()))
    for iteration in range(1025, 1025 + 2 * READ_EVERY):
        suspicion.note(iteration, KEYS, rows(GOOD, GOOD, GOOD))
    assert reads == [READ_EVERY, READ_EVERY]


def test_state_continues_exactly_and_another_set_begins_anew():
    def of(iteration):
        return torch.rand(3, 4, generator=torch.Generator().manual_seed(iteration)).tolist()

    straight, first = noted(range(1, 12), of), noted(range(1, 7), of)
    second = Suspicion(KEYS, RUNTIME)
    second.load_state_dict(first.state_dict())
    for iteration in range(7, 12):
        second.note(iteration, KEYS, rows(*of(iteration)))
    assert torch.equal(second.state_dict()["sums"], straight.state_dict()["sums"])
    other = Suspicion((*KEYS, "d"), RUNTIME)
    other.load_state_dict(first.state_dict())
    assert not other._sums.any()


def test_ranks_are_added_up_on_rank_0_once():
    class Two(Runtime):
        def gather(self, value):
            return [value.copy(), theirs]

    theirs = np.ones((2, 3, 5))
    suspicion = Suspicion(KEYS, Two(torch.device("cpu"), ""))
    suspicion.runtime.world = 2
    suspicion.note(3, KEYS, rows(GOOD, GOOD, GOOD))
    assert suspicion.state_dict()["sums"][1, 0].tolist() == [1.5, 2.0, 2.0, 1.0, 2.0]
    suspicion.runtime.rank = 1
    suspicion.state_dict()
    assert not suspicion._sums.any()


@pytest.mark.parametrize("size", [8, 2])
def test_step_reports_a_row_for_every_image_in_order_however_it_is_split(size):
    def report(micro_batch):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
        knobs = Knobs(batch_size=8)
        knobs[MICRO_BATCH].set(micro_batch, 0)
        stepper = stepper_of(
            net,
            lambda output, target, **_: {"l1": (output - target).abs().mean()},
            torch.optim.SGD(net.parameters()),
            knobs,
        )
        stepper.explained = Explained(2)
        rng = np.random.default_rng(0)

        def levels(side):
            return torch.from_numpy(rng.integers(0, 256, (3, side, side, 3), np.uint8))

        batches = [Batch(levels(16), levels(32), KEYS) for _ in range(2)]
        assert stepper.step(batches, iteration=1).images is None  # every second one is noted
        found = stepper.step(batches, iteration=2).images
        assert found is not None
        return found

    whole = report(8)
    assert whole.shape == (6, 4)
    assert torch.allclose(report(size), whole, rtol=1e-5)
    assert len({row[0].item() for row in whole}) == 6
