import numpy as np
import pytest
from imagekit import jpeg, numbers, photo

from traiNNer.imaging.jpeg_traces import jpeg_quality
from traiNNer.utils.resize import imresize


def luma(image):
    return image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


@pytest.mark.parametrize("quality", [20, 40, 60, 75])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png"])
def test_quality_is_read_from_the_pixels(name, quality):
    image = photo(name, (320, 320))
    assert jpeg_quality(luma(jpeg(image, quality))) == pytest.approx(quality, abs=4)


@pytest.mark.parametrize("offset", [(0, 3), (5, 0), (7, 1), (2, 6)])
def test_blocks_are_found_after_a_crop(offset):
    image = jpeg(photo("coffee.png", (360, 360)), 60)[offset[0] :, offset[1] :]
    assert jpeg_quality(luma(image)) == pytest.approx(60, abs=4)


def test_last_of_two_compressions_is_detected():
    assert jpeg_quality(luma(jpeg(jpeg(photo("coffee.png", (320, 320)), 92), 60))) == pytest.approx(60, abs=4)


def test_photos_noise_and_high_quality_jpegs_have_no_traces():
    for name in ("astronaut.png", "coffee.png", "motorcycle_left.png"):
        assert jpeg_quality(luma(photo(name, (320, 320)))) is None
    assert jpeg_quality(luma(numbers(256, 256, 3))) is None
    assert jpeg_quality(luma(jpeg(photo(), 98))) is None
    assert jpeg_quality(luma(imresize(jpeg(photo("coffee.png", (400, 400)), 30), 0.6))) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (9, 9), (40, 40)])
def test_small_or_flat_images_have_no_traces(shape):
    assert jpeg_quality(luma(numbers(*shape, 3))) is None
    assert jpeg_quality(np.full(shape, 128.0)) is None
