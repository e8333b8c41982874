import cv2
import numpy as np
import pytest
from imagekit import numbers, photo

from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.image_file import write_image
from traiNNer.papers.images import luma_of, parse_set, pictures, published_bicubic
from traiNNer.utils.color import rgb_to_y
from traiNNer.utils.resize import imresize


def test_images_are_cut_and_shrunk(tmp_path):
    image = photo(size=(65, 50))
    write_image(tmp_path / "a.png", image)
    (picture,) = pictures(parse_set(f"Mine={tmp_path}"), 3)
    assert np.array_equal(picture.target, image[:63, :48])
    assert np.array_equal(picture.lq, imresize(image[:63, :48], 1 / 3))
    assert picture.lq.dtype == np.uint8
    assert not picture.is_gray


def test_gray_files_are_compared_by_their_own_levels(tmp_path):
    gray = photo(size=(40, 40))[:, :, 1]
    cv2.imwrite(str(tmp_path / "a.png"), gray)
    (picture,) = pictures(parse_set(f"Mine={tmp_path}"), 2)
    assert picture.is_gray
    assert np.array_equal(luma_of(picture), gray)


def test_luma_of_colors_is_rounded(tmp_path):
    write_image(tmp_path / "a.png", photo(size=(40, 40)))
    (picture,) = pictures(parse_set(f"Mine={tmp_path}"), 2)
    assert np.array_equal(luma_of(picture), np.round(rgb_to_y(picture.target)))


def test_published_bicubic_rounds_nothing_in_between(tmp_path):
    write_image(tmp_path / "a.png", photo(size=(40, 44)))
    (picture,) = pictures(parse_set(f"Mine={tmp_path}"), 2)
    luma, enlarged = published_bicubic(picture, 2)
    between = imresize(luma, 0.5)
    assert np.any(between != np.round(between))
    assert np.array_equal(enlarged, np.clip(np.round(imresize(between, size=(40, 44))), 0, 255))


def test_sixteen_bits_become_eight(tmp_path):
    write_image(tmp_path / "a.png", numbers(40, 40, 3, bits=16))
    (picture,) = pictures(parse_set(f"Mine={tmp_path}"), 2)
    assert picture.target.dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("Set5", ConfigError, "write NAME=FOLDER"),
        ("=x", ConfigError, "write NAME=FOLDER"),
        ("Set5={0}/none", DataError, "is not a folder"),
        ("Set5={0}", DataError, "--set Set5 has no images in "),
    ],
)
def test_set_that_cannot_be_used_is_refused(tmp_path, text, error, said):
    with pytest.raises(error, match=said):
        parse_set(text.format(tmp_path))


@pytest.mark.parametrize(("content", "said"), [(b"damaged", "a.png"), (None, "too small for SSIM: 12x40 pixels")])
def test_image_that_cannot_be_used_is_named(tmp_path, content, said):
    if content is None:
        write_image(tmp_path / "a.png", numbers(40, 12, 3))
    else:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=said):
        list(pictures(parse_set(f"Mine={tmp_path}"), 2))
