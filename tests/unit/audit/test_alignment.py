import numpy as np
import pytest
from imagekit import moved, numbers, photo

from traiNNer.audit.alignment import align
from traiNNer.utils.resize import imresize


def grey(image):
    return image.astype(np.float64).mean(axis=2)


@pytest.mark.parametrize("shift", [(0, 0), (0.125, 0), (0, -0.25), (0.5, 0.5), (-1, 2), (3.3, -7.6), (20, -31)])
def test_a_shift_is_found_to_a_fiftieth_of_a_pixel(shift):
    image = photo("coffee.png")
    found = align(grey(moved(image, *shift)), grey(image))
    assert (found.dy, found.dx) == pytest.approx(shift, abs=0.02)
    assert found.correlation > 0.99


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shift", [0.5, 1, 2])
def test_a_shift_of_hr_is_found_in_lr(scale, shift):
    image = photo(size=(240, 240))
    found = align(grey(imresize(moved(image, shift, -shift), 1 / scale)), grey(imresize(image, 1 / scale)))
    assert (scale * found.dy, scale * found.dx) == pytest.approx((shift, -shift), abs=0.15)


def test_two_photos_do_not_correlate_and_a_noisy_copy_does():
    image = photo()
    assert align(grey(photo("coffee.png")), grey(image)).correlation < 0.4
    noisy = align(grey(image) + np.random.default_rng(0).normal(0, 20, (256, 256)), grey(image))
    assert noisy.correlation > 0.8
    assert (noisy.dy, noisy.dx) == pytest.approx((0, 0), abs=0.05)


def test_an_inverted_copy_does_not_count_as_the_same():
    assert align(255 - grey(photo()), grey(photo())).correlation < 0.4


def test_what_cannot_be_told_is_none():
    assert align(np.full((64, 64), 9.0), np.full((64, 64), 9.0)) is None
    assert align(grey(numbers(15, 64, 3)), grey(numbers(15, 64, 3))) is None
