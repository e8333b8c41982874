"""Recipes: which image gets which step, in which order, and that nothing depends on the batch."""

import pickle

import cv2
import numpy as np
import pytest
import torch
from scipy import stats

from traiNNer.degradations.blur import Blur
from traiNNer.degradations.jpeg import Jpeg
from traiNNer.degradations.noise import Noise
from traiNNer.degradations.protocol import Degradation
from traiNNer.degradations.recipe import Degrader, Recipe, Step, one_thread
from traiNNer.degradations.resize import Resize, Shrink

MANY = range(10_000)


class Digit(Degradation):
    """Appends a decimal digit: what is left tells which steps an image went through, in which order."""

    def __init__(self, digit: int) -> None:
        self.digit = digit

    def __call__(self, images, draws):
        return images / 10 + self.digit / 10


def traces(recipe, seeds=MANY):
    """Return the digits of every image, the last step first."""
    made = recipe(torch.zeros(len(seeds), 1, 1, 1, dtype=torch.float64), seeds, (1, 1)).flatten()
    return [f"{value:.4f}"[2:].rstrip("0") for value in made.tolist()]


def test_steps_come_in_order_each_with_its_probability():
    found = traces(Recipe([Step("a", Digit(1)), Step("b", Digit(2), 0.25), Step("a", Digit(3), 0.5)]))
    assert set(found) == {"1", "21", "31", "321"}
    shares = np.array([found.count(trace) for trace in ("1", "21", "31", "321")])
    assert stats.chisquare(shares, np.array([0.375, 0.125, 0.375, 0.125]) * len(MANY)).pvalue > 1e-4


def test_of_alternatives_an_image_gets_at_most_one():
    steps = [Step("a", Digit(1), 0.5, "end"), Step("b", Digit(2)), Step("c", Digit(3), 0.3, "end")]
    found = traces(Recipe(steps))
    assert set(found) == {"21", "2", "32"}
    shares = np.array([found.count(trace) for trace in ("21", "32", "2")])
    assert stats.chisquare(shares, np.array([0.5, 0.3, 0.2]) * len(MANY)).pvalue > 1e-4
    with pytest.raises(ValueError, match=r"either: end add up to 1\.1"):
        Recipe([Step("a", Digit(1), 0.6, "end"), Step("b", Digit(2), 0.5, "end")])


def test_shuffled_orders_are_equally_likely():
    found = traces(Recipe([Step(str(digit), Digit(digit)) for digit in (1, 2, 3)], shuffle=True))
    shares = [found.count(trace) for trace in set(found)]
    assert len(shares) == 6
    assert stats.chisquare(shares).pvalue > 1e-4


def full_recipe(shuffle=False):
    return Recipe(
        [
            Step("blur", Blur(kernels=("iso", "sinc", "plateau_aniso")), 0.8),
            Step("resize", Resize()),
            Step("noise", Noise(kinds=("gaussian", "poisson", "speckle"))),
            Step("blur", Blur(), 0.5),
            Step("shrink", Shrink(), 0.5, "end"),
            Step("noise", Noise(sigma=(1.0, 5.0)), 0.5),
        ],
        shuffle=shuffle,
    )


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_image_is_the_same_alone_and_in_a_batch(shuffle):
    images = torch.rand(6, 3, 40, 36, generator=torch.Generator().manual_seed(1))
    recipe, seeds = full_recipe(shuffle), [11, 12, 13, 14, 15, 16]
    together = recipe(images, seeds, (20, 18))
    assert together.shape == (6, 3, 20, 18)
    for place, seed in enumerate(seeds):
        alone = recipe(images[place : place + 1], [seed], (20, 18))
        assert torch.allclose(together[place], alone[0], atol=1e-5)
    assert not torch.allclose(together[0], recipe(images[:1], [12], (20, 18))[0], atol=1e-2)


def test_nothing_is_done_without_steps_but_to_shrink():
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(Recipe([])(images, [1], (8, 8)), images)
    wanted = torch.nn.functional.interpolate(images, size=(4, 4), mode="bicubic", antialias=True)
    assert torch.allclose(Recipe([])(images, [1], (4, 4)), wanted, atol=1e-6)


def test_another_step_beside_it_changes_no_draw():
    notes, others = {}, {}
    images = torch.rand(1, 3, 16, 16)
    Recipe([Step("noise", Noise())])(images, [1], (16, 16), notes)
    Recipe([Step("blur", Blur()), Step("noise", Noise())])(images, [1], (16, 16), others)
    assert notes["noise"] == others["noise"]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_arrays_keep_their_type_and_threads_their_number(kind):
    image = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (24, 20, 3)).astype(kind)
    before = torch.get_num_threads(), cv2.getNumThreads()
    degrader = Degrader(Recipe([Step("jpeg", Jpeg())], [Step("blur", Blur(), 1.0)]))
    lq, gt = degrader.lq(image, 3, (12, 10)), degrader.gt(image, 3)
    assert (lq.dtype, lq.shape, gt.dtype, gt.shape) == (kind, (12, 10, 3), kind, image.shape)
    assert not np.array_equal(gt, image)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
    with one_thread():
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
    # A worker that is not forked gets it as bytes.
    assert np.array_equal(pickle.loads(pickle.dumps(degrader)).lq(image, 3, (12, 10)), lq)
    assert np.array_equal(Degrader(Recipe([])).lq(image, 1, (24, 20)), image)
    assert Degrader(Recipe([])).gt(image, 1) is image


def test_the_ground_truth_keeps_its_size():
    with pytest.raises(ValueError, match="keeps its size"):
        Recipe([], [Step("shrink", Shrink())])
