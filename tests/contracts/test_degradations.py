"""What holds for every degradation that is registered, with its defaults."""

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Images, Resizing
from traiNNer.degradations.recipe import Recipe, Step
from traiNNer.registry import DEGRADATIONS

NAMES = DEGRADATIONS.names()
PHOTOS = (
    torch.from_numpy(
        np.stack([astronaut()[y : y + 48, x : x + 40] for y, x in ((0, 150), (100, 200), (200, 100), (300, 300))])
    )
    .permute(0, 3, 1, 2)
    .float()
    .div(255)
)
SEEDS = (5, 6, 7, 2**62)


def recipe(name):
    return Recipe([Step(name, DEGRADATIONS.build(name))])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_function_of_image_and_seed(name):
    made = recipe(name)(PHOTOS, SEEDS, (24, 20))
    assert made.shape == (4, 3, 24, 20)
    assert made.dtype == torch.float32
    assert made.min() >= 0
    assert made.max() <= 1
    assert torch.equal(made, recipe(name)(PHOTOS.clone(), SEEDS, (24, 20)))
    for place, seed in enumerate(SEEDS):
        alone = recipe(name)(PHOTOS[place : place + 1], [seed], (24, 20))[0]
        # Sums in another order may round a pixel to the next step.
        assert (made[place] - alone).abs().mean() < 2e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_single_image_is_quickly_made_as_in_a_batch(name):
    made = recipe(name)(PHOTOS, SEEDS, (24, 20))
    for place, seed in enumerate(SEEDS):
        alone = recipe(name).single(PHOTOS[place : place + 1], seed, (24, 20))[0]
        # A tenth of a level; of JPEG, which here is libjpeg itself, as much as its definition may be off.
        assert (made[place] - alone).abs().mean() < (1.5 if name == "jpeg" else 0.1) / 255


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_makes_another_image_unless_there_is_nothing_to_draw(name):
    notes = {}
    recipe(name)(PHOTOS[:1], [1], (24, 20), notes)
    made = [recipe(name)(PHOTOS[:1], [seed], (24, 20)) for seed in range(6)]
    varies = any(not torch.equal(made[0], other) for other in made)
    assert varies == (name not in ("shrink", "usm"))  # one filter, one radius


@pytest.mark.parametrize("name", NAMES)
def test_an_image_among_larger_ones_is_as_if_alone(name):
    step = DEGRADATIONS.build(name)
    small = PHOTOS[:1, :, :29, :27]
    padded = Images(PHOTOS[:1], np.array([[29, 27]])).with_pixels(PHOTOS[:1])
    draws, target = Draws([3], name), np.array([[14, 13]])
    if isinstance(step, Resizing):
        inside, alone = step(padded, draws, target), step(Images.of(small), draws, target)
        assert (inside.sizes == alone.sizes).all()
        inside, alone = inside.pixels, alone.pixels
    else:
        assert isinstance(step, Degradation)
        inside, alone = step.on(padded, draws).pixels, step(small, draws)
    height, width = alone.shape[-2:]
    assert (inside[..., :height, :width] - alone).abs().mean() < 2e-3


@pytest.mark.parametrize("name", NAMES)
def test_its_traits_are_true(name):
    assert DEGRADATIONS[name].traits.resizes == isinstance(DEGRADATIONS.build(name), Resizing)
