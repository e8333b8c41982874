"""Resizing against torch, OpenCV and Pillow."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Images
from traiNNer.degradations.resize import REACH, Resize, Shrink, by_bands, by_matrices, matrices, resample, weights_of

RNG = np.random.default_rng(1)
PIXELS = torch.from_numpy(RNG.random((1, 3, 60, 47), dtype=np.float32))
SIZES = [(30, 20), (90, 100), (61, 46)]


def resized(name, size, antialias=True, pixels=PIXELS):
    sizes, filters = np.array([size] * len(pixels)), [name] * len(pixels)
    made = by_matrices(Images.of(pixels), sizes, filters, antialias).pixels
    assert torch.allclose(made, resample(Images.of(pixels), sizes, filters, antialias).pixels, atol=1e-5)
    assert torch.allclose(made, by_bands(Images.of(pixels), sizes, name, antialias).pixels, atol=1e-5)
    return made


@pytest.mark.parametrize("antialias", [True, False])
def test_matrices_of_a_batch_are_those_of_each_image(antialias):
    names = [name for name in REACH for _ in range(5)]
    old, new = np.array([9, 12, 7, 5, 10] * 5), np.array([4, 12, 15, 6, 3] * 5)
    made = matrices(old, new, names, antialias, 14, 16, torch.zeros(1)).numpy()
    for weights, name, before, after in zip(made, names, old, new, strict=True):
        assert np.allclose(weights[:after, :before], weights_of(before, after, name, antialias), atol=1e-6)
        assert (weights[:, before:] == 0).all()
        assert np.allclose(weights[after:], weights[after - 1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("name", ["bicubic", "bilinear"])
def test_as_torch_interpolates(name, antialias, size):
    wanted = F.interpolate(PIXELS, size=size, mode=name, antialias=antialias).clamp(0, 1)
    assert torch.allclose(resized(name, size, antialias), wanted, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_nearest_as_torch_takes_it(size):
    assert torch.equal(resized("nearest", size), F.interpolate(PIXELS, size=size, mode="nearest-exact"))


def test_area_as_opencv_shrinks():
    image = PIXELS[0].permute(1, 2, 0).numpy()
    wanted = cv2.resize(image, (20, 31), interpolation=cv2.INTER_AREA)
    assert np.allclose(resized("area", (31, 20))[0].permute(1, 2, 0).numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_lanczos_as_pillow_resizes(size):
    wanted = np.asarray(Image.fromarray(PIXELS[0, 0].numpy()).resize(size[::-1], Image.Resampling.LANCZOS))
    assert np.allclose(resized("lanczos", size)[0, 0].numpy(), wanted.clip(0, 1), atol=1e-5)


def test_images_of_several_sizes_are_resized_as_if_alone():
    draws, resize = Draws([1, 2, 3, 4], "resize"), Resize(factor=(0.3, 2.0))
    pixels = torch.from_numpy(RNG.random((4, 3, 40, 30), dtype=np.float32))
    together = resize(Images.of(pixels), draws, np.empty((4, 2)))
    assert len({tuple(size) for size in together.sizes}) > 2
    for place in range(4):
        alone = resize(Images.of(pixels[place : place + 1]), draws.part(np.array([place])), np.empty((1, 2)))
        height, width = together.sizes[place]
        assert (height, width) == alone.pixels.shape[-2:]
        assert torch.allclose(together.pixels[place, :, :height, :width], alone.pixels[0], atol=1e-6)
        assert torch.equal(
            together.pixels[place, :, height:],
            together.pixels[place, :, height - 1 : height].expand_as(together.pixels[place, :, height:]),
        )


def test_back_returns_to_the_size_with_less_detail():
    draws = Draws([5], "resize")
    resize = Resize(factor=(0.3, 0.3), probs=(0, 1, 0), filters=("area",), back=True)
    result = resize(Images.of(PIXELS), draws, np.empty((1, 2)))
    small = resized("area", (18, 14))
    assert torch.equal(result.pixels, resized("area", (60, 47), pixels=small))


def test_the_factor_may_be_relative_to_lq():
    result = Resize(factor=(0.5, 0.5), probs=(0, 1, 0), of="lq")(
        Images.of(PIXELS), Draws([1], "r"), np.array([[30, 24]])
    )
    assert result.sizes.tolist() == [[15, 12]]


def test_shrink_makes_the_size_of_lq():
    result = Shrink(filters=("bilinear",))(Images.of(PIXELS), Draws([1], "shrink"), np.array([(30, 20)]))
    assert torch.allclose(result.pixels, resized("bilinear", (30, 20)), atol=1e-5)
    assert result.sizes.tolist() == [[30, 20]]


@pytest.mark.parametrize(
    "options",
    [
        {"factor": (1.2, 1.5)},
        {"factor": (0.2, 0.5)},
        {"factor": (2.0, 0.5)},
        {"probs": (0.0, 0.0, 0.0)},
        {"filter_weights": (1.0,)},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Resize(**options)
