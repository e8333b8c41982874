"""Degradations of a whole batch against those that data workers make of each image alone."""

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from traiNNer.batch import Batch
from traiNNer.degradations.blur import Blur
from traiNNer.degradations.codec import Codec
from traiNNer.degradations.jpeg import Jpeg
from traiNNer.degradations.noise import Noise
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.degradations.resize import Resize, Shrink
from traiNNer.degradations.sharpen import Usm

PHOTOS = np.stack([astronaut()[y : y + 64, x : x + 64] for y in (0, 100, 200) for x in (100, 180, 260)])
SEEDS = tuple(range(20, 29))
STEPS = [
    Step("blur", Blur(kernels=("iso", "aniso", "sinc"), size=(7, 15)), 0.8),
    Step("resize", Resize(factor=(0.4, 1.4), filters=("bicubic", "area", "lanczos", "nearest"))),
    Step("noise", Noise(kinds=("gaussian", "poisson"), sigma=(1.0, 10.0), poisson_scale=(0.05, 0.5))),
    Step("shrink", Shrink(), 0.5, "end"),
    Step("noise", Noise(sigma=(1.0, 4.0), kinds=("gaussian",)), 0.5),
]
RECIPES = {
    "ordered": Recipe(STEPS),
    "shuffled": Recipe(STEPS, shuffle=True),
    "sharpened": Recipe(STEPS, [Step("usm", Usm(radius=(5, 5)))]),
    "compressed": Recipe([*STEPS, Step("jpeg", Jpeg())]),
}


def as_batch(lq, gt, seeds):
    pixels = [torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 for images in (lq, gt)]
    return Batch(*pixels, tuple(map(str, range(len(gt)))), recipe_seeds=seeds)


def levels(images):
    return images.permute(0, 2, 3, 1).numpy() * 255


@pytest.mark.parametrize("name", RECIPES)
def test_every_image_is_as_its_seed_alone_makes_it(name):
    degrader = Degrader(RECIPES[name])
    batch = as_batch(PHOTOS[:, :32, :32], PHOTOS, SEEDS)
    made = degrader.batch(batch, 255, is_made_of_gt=True)
    for place, seed in enumerate(SEEDS):
        gt = degrader.gt(PHOTOS[place], seed)
        lq = degrader.lq(gt, seed, (32, 32)).astype(float)
        assert np.abs(levels(made.gt)[place] - gt).mean() < 0.05
        # JPEG is libjpeg's in a data worker; what it rounds in another way is a step of its tables.
        assert np.abs(levels(made.lq)[place] - lq).mean() < (1.5 if name == "compressed" else 0.25)
    assert np.allclose(levels(made.lq), np.rint(levels(made.lq)), atol=1e-3)


def test_parts_of_a_batch_are_made_as_the_whole():
    degrader = Degrader(RECIPES["ordered"])
    batch = as_batch(PHOTOS[:, :32, :32], PHOTOS, SEEDS)
    whole = degrader.batch(batch, 255, is_made_of_gt=True).lq
    parts = [degrader.batch(batch.part(*ends), 255, is_made_of_gt=True).lq for ends in ((0, 4), (4, 7), (7, 9))]
    # Sums in another order may round a pixel to the next level.
    assert (torch.cat(parts) - whole).abs().mean() * 255 < 0.02
    assert (torch.cat(parts) - whole).abs().max() * 255 < 1.5


def test_images_without_a_seed_stay_as_they_are():
    degrader = Degrader(RECIPES["sharpened"])
    lq = np.ascontiguousarray(PHOTOS[:, ::2, ::2])
    batch = as_batch(lq, PHOTOS, (None, *SEEDS[1:4], *[None] * 5))
    made = degrader.batch(batch, 255, is_made_of_gt=True)
    for place in (0, 4, 8):
        assert torch.equal(made.lq[place], batch.lq[place])
        assert torch.equal(made.gt[place], batch.gt[place])
    assert not torch.equal(made.lq[1], batch.lq[1])
    assert degrader.batch(as_batch(lq, PHOTOS, (None,) * 9), 255, is_made_of_gt=True).lq is not None


def test_pairs_are_spoiled_in_the_size_of_lq():
    degrader = Degrader(RECIPES["ordered"])
    lq = np.ascontiguousarray(PHOTOS[:, ::2, ::2])
    made = degrader.batch(as_batch(lq, PHOTOS, SEEDS), 255, is_made_of_gt=False)
    wanted = degrader.lq(lq[0], SEEDS[0], (32, 32)).astype(float)
    assert np.abs(levels(made.lq)[0] - wanted).mean() < 0.25


def test_a_recipe_with_files_in_memory_is_made_alone():
    assert all(Degrader(recipe).is_batched for recipe in RECIPES.values())
    assert not Degrader(Recipe([Step("codec", Codec(), is_batched=False)])).is_batched
