"""The factor of an enlargement is read from its rhythm; photos, blur, noise and JPEG have none."""

import cv2
import numpy as np
import pytest
from imagekit import jpeg, numbers, photo

from traiNNer.estimate.scaling import enlargement

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def plane(factor, way, name="coffee.png", side=360):
    small = cv2.resize(photo(name, (side, side)), None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=way) @ LUMA


@pytest.mark.parametrize("way", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
@pytest.mark.parametrize("factor", [1.25, 1.6, 2.0, 2.5, 3.0])
def test_factor_is_found(factor, way):
    assert enlargement(plane(factor, way)) == pytest.approx(factor, rel=0.02)


def test_factor_is_found_beneath_noise():
    image = plane(2.5, cv2.INTER_LINEAR) + np.random.default_rng(0).normal(0, 3, (360, 360))
    assert enlargement(image, 3.0) == pytest.approx(2.5, rel=0.02)


@pytest.mark.parametrize("name", ["motorcycle_left.png", "coffee.png", "chelsea.png"])
@pytest.mark.parametrize("change", ["none", "blur", "jpeg", "noise"])
def test_photos_were_not_enlarged(name, change):
    image = photo(name, (300, 300))
    image = {
        "none": lambda: image,
        "blur": lambda: cv2.GaussianBlur(image, (0, 0), 1.5),
        "jpeg": lambda: jpeg(image, 40),
        "noise": lambda: np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255),
    }[change]()
    assert enlargement(image.astype(np.float32) @ LUMA, 8.0 if change == "noise" else 0.0) is None


def test_small_and_random_images_say_nothing():
    assert enlargement(numbers(60, 60).astype(np.float32)) is None
    assert enlargement(numbers(200, 200).astype(np.float32)) is None
    assert enlargement(np.zeros((200, 200), np.float32)) is None
