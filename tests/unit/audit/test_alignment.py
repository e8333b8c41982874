import numpy as np
import pytest
from imagekit import moved, numbers, photo

from traiNNer.audit.alignment import align
from traiNNer.utils.resize import imresize


def gray(image):
    return image.astype(np.float64).mean(axis=2)


@pytest.mark.parametrize("shift", [(0, 0), (0.125, 0), (0, -0.25), (0.5, 0.5), (-1, 2), (3.3, -7.6), (20, -31)])
def test_shift_is_found_to_0_02_pixels(shift):
    image = photo("coffee.png")
    found = align(gray(moved(image, *shift)), gray(image))
    assert (found.dy, found.dx) == pytest.approx(shift, abs=0.02)
    assert found.correlation > 0.99


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shift", [0.5, 1, 2])
def test_shift_of_hr_is_found_in_lr(scale, shift):
    image = photo(size=(240, 240))
    found = align(gray(imresize(moved(image, shift, -shift), 1 / scale)), gray(imresize(image, 1 / scale)))
    assert (scale * found.dy, scale * found.dx) == pytest.approx((shift, -shift), abs=0.15)


def test_two_photos_do_not_correlate_and_a_noisy_copy_does():
    image = photo()
    assert align(gray(photo("coffee.png")), gray(image)).correlation < 0.4
    noisy = align(gray(image) + np.random.default_rng(0).normal(0, 20, (256, 256)), gray(image))
    assert noisy.correlation > 0.8
    assert (noisy.dy, noisy.dx) == pytest.approx((0, 0), abs=0.05)


def test_inverted_copy_is_not_a_duplicate():
    assert align(255 - gray(photo()), gray(photo())).correlation < 0.4


def test_unknown_is_none():
    assert align(np.full((64, 64), 9.0), np.full((64, 64), 9.0)) is None
    assert align(gray(numbers(15, 64, 3)), gray(numbers(15, 64, 3))) is None
