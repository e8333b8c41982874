"""Noise of a known level is measured in photos, in textures, and not where pixels are clipped."""

import numpy as np
import pytest
from imagekit import photo

from traiNNer.estimate.noise import is_gray, noise_level


def noisy(image, level, gray=False, seed=0):
    shape = (*image.shape[:2], 1 if gray else image.shape[2])
    return np.clip(np.rint(image + np.random.default_rng(seed).normal(0, level, shape)), 0, 255).astype(np.float32)


@pytest.mark.parametrize("level", [6, 12, 25])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png"])
def test_level_is_measured_in_photos(name, level):
    image = noisy(photo(name, (256, 256)), level)
    assert noise_level(image[..., 1]) == pytest.approx(level, rel=0.15)


def test_level_of_noise_alone_is_exact():
    plane = np.random.default_rng(0).normal(128, 10, (200, 200)).astype(np.float32)
    assert noise_level(plane) == pytest.approx(10, rel=0.04)


def test_clipped_pixels_do_not_count():
    plane = noisy(np.full((200, 200, 1), 120.0), 8)[..., 0]
    plane[:, :150] = 255
    assert noise_level(plane) == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("gray", [False, True])
def test_gray_noise_is_told_from_colored(gray):
    assert is_gray(noisy(photo(), 10, gray), 10) is gray


def test_too_few_patches_say_nothing():
    assert noise_level(np.zeros((5, 5), np.float32)) is None
    assert noise_level(np.zeros((200, 200), np.float32)) is None, "all is clipped"
