"""An image is inspected from its file."""

import cv2
import numpy as np
import pytest
from imagekit import jpeg, photo, write_png

from traiNNer.estimate.picture import Picture, inspect, middle
from traiNNer.imaging.image_file import ImageError


def noisy(image, level):
    return np.clip(np.rint(image + np.random.default_rng(0).normal(0, level, image.shape)), 0, 255).astype(np.uint8)


def of_png(folder, image):
    write_png(folder / "x.png", image)
    return inspect(folder / "x.png")


def of_jpeg(folder, image, quality):
    cv2.imwrite(str(folder / "x.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return inspect(folder / "x.jpg")


def test_photo_has_nothing(tmp_path):
    assert of_png(tmp_path, photo("chelsea.png", (288, 384))) == Picture()


def test_noise_and_blur_of_a_lossless_file(tmp_path):
    blurred = cv2.GaussianBlur(photo("coffee.png", (384, 384)), (0, 0), 1.5)
    found = of_png(tmp_path, noisy(blurred, 6))
    assert found.noise == pytest.approx(6, rel=0.15)
    assert found.is_gray is False
    assert found.blur == pytest.approx(1.5, rel=0.15)
    assert (found.quality, found.enlarged, found.hidden) == (None, None, frozenset())


def test_quality_of_a_jpeg_file_is_exact_and_noise_is_hidden(tmp_path):
    found = of_jpeg(tmp_path, photo("coffee.png", (384, 384)), 63)
    assert (found.quality, found.is_exact, found.subsampling) == (63, True, "420")
    assert found.hidden == {"noise"}


def test_quality_is_read_from_pixels_that_were_saved_again(tmp_path):
    found = of_png(tmp_path, jpeg(photo("coffee.png", (384, 384)), 60))
    assert found.quality == pytest.approx(60, rel=0.1)
    assert (found.is_exact, found.subsampling) == (False, "420")


def test_strong_noise_before_a_jpeg_hides_blur(tmp_path):
    found = of_jpeg(tmp_path, noisy(photo("coffee.png", (384, 384)), 30), 85)
    assert found.noise is not None
    assert (found.blur, found.hidden) == (None, {"blur"})


def test_enlargement_hides_blur(tmp_path):
    image = cv2.resize(photo("coffee.png", (200, 200)), (400, 400), interpolation=cv2.INTER_CUBIC)
    found = of_png(tmp_path, image)
    assert found.enlarged == pytest.approx(2, rel=0.01)
    assert (found.blur, found.hidden) == (None, {"blur"})


def test_middle_begins_with_a_whole_block_and_is_in_255_steps():
    image = np.arange(1000, dtype=np.uint16)[:, None, None] * np.ones((1, 900, 3), np.uint16) * 65
    part = middle(image)
    assert part.shape == (768, 768, 3)
    assert part[0, 0, 0] * 257 == pytest.approx(112 * 65)
    assert np.array_equal(middle(photo(size=(100, 120))), photo(size=(100, 120)))


def test_small_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match="smaller than 96 pixels"):
        of_png(tmp_path, photo(size=(95, 200)))
