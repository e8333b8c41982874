import numpy as np
import pytest
from imagekit import numbers

from traiNNer.upscaling.arrays import joined, split


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("bits", [8, 16])
def test_array_comes_back_as_it_was(shape, bits):
    image = numbers(*shape, bits=bits)
    assert np.array_equal(joined(split(image), image), image)


def test_parts_are_colors_and_opacity():
    image = numbers(5, 7, 4)
    assert np.array_equal(split(image).colors, image[:, :, :3])
    assert np.array_equal(split(image).opacity, image[:, :, 3])
    gray = split(image[:, :, :2])
    assert np.array_equal(gray.colors, image[:, :, 0])
    assert np.array_equal(gray.opacity, image[:, :, 1])
    assert split(image[:, :, :3]).opacity is None


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floating_point_is_computed_in_float32_and_returned_as_given(kind):
    image = np.linspace(0, 1, 12, dtype=kind).reshape(3, 4)
    assert split(image).colors.dtype == np.float32
    assert joined(split(image), image).dtype == image.dtype


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros(3), "not of shape"),
        (np.zeros((3, 3, 5)), "not of shape"),
        (np.zeros((0, 3, 3)), "not of shape"),
        (np.zeros((3, 3), np.int64), "not int64"),
        (np.full((3, 3), 255.0), "divide by the largest value"),
        (np.full((3, 3), np.nan), "divide by the largest value"),
    ],
)
def test_what_is_no_image_is_refused(image, said):
    with pytest.raises(ValueError, match=said):
        split(image)
