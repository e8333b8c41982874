import cv2
import numpy as np
import pytest
from imagekit import photo

from traiNNer.audit.sharpness import detail_ratio
from traiNNer.utils.resize import imresize

PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png")


def ratio(image):
    return detail_ratio(image.astype(np.float32).mean(axis=2))


@pytest.mark.parametrize("name", PHOTOS)
def test_enlarged_photo_has_less_than_half_the_detail(name):
    for scale in (2, 3, 4):
        small = imresize(photo(name), 1 / scale)
        for kind in (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4):
            assert ratio(cv2.resize(small, (256, 256), interpolation=kind)) < 0.45


@pytest.mark.parametrize("name", PHOTOS)
def test_photo_at_native_size_has_full_detail(name):
    assert ratio(imresize(photo(name, (300, 400)), 0.5)) > 0.6


def test_one_sharp_region_is_enough():
    image = cv2.GaussianBlur(photo(size=(320, 320)), (0, 0), 1.5)
    assert ratio(image) < 0.45
    image[:128, :128] = photo(size=(128, 128), top=60, left=160)
    assert ratio(image) > 0.5


def test_unknown_is_none():
    assert ratio(np.full((256, 256, 3), 77)) is None
    assert ratio(photo(size=(127, 256))) is None
