"""The width of a Gaussian blur is measured in photos, beneath noise and JPEG."""

import cv2
import numpy as np
import pytest
from imagekit import jpeg, photo

from traiNNer.estimate.blur import fit_jpeg, fit_pixels
from traiNNer.imaging.jpeg_tables import standard_steps

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
NAMES = ("astronaut.png", "coffee.png", "chelsea.png")


def blurred(name, width, noise=0.0):
    image = cv2.GaussianBlur(photo(name, (384, 384)).astype(np.float32), (0, 0), width)
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("width", "noise"), [(0.9, 0.0), (1.6, 0.0), (2.5, 0.0), (1.6, 5.0)])
def test_width_is_measured(width, noise):
    found = [fit_pixels(blurred(name, width, noise) @ LUMA, noise * 0.67).blur for name in NAMES]
    assert np.median(found) == pytest.approx(width, rel=0.15)


@pytest.mark.parametrize(("width", "quality"), [(1.2, 90), (2.0, 70), (2.0, 50)])
def test_width_is_measured_before_a_compression(width, quality):
    found = [fit_jpeg(jpeg(blurred(name, width), quality) @ LUMA, standard_steps(quality)).blur for name in NAMES]
    assert np.median(found) == pytest.approx(width, rel=0.15)


def test_compression_would_hide_it_from_the_pixels():
    image = jpeg(blurred("coffee.png", 2.0), 60) @ LUMA
    assert fit_pixels(image, 0.5).blur < 1.2


def test_small_and_flat_images_say_nothing():
    assert fit_pixels(np.zeros((90, 200), np.float32), 0.0) is None
    assert fit_pixels(np.full((200, 200), 7, np.float32), 0.0) is None
    assert fit_jpeg(np.full((200, 200), 128, np.float32), standard_steps(50)) is None
    assert fit_jpeg(np.zeros((16, 16), np.float32), standard_steps(50)) is None
