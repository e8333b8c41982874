import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.make_resize import naive_resize

from traiNNer.utils.resize import contributions, cubic, imresize, imresize_crop

GOLDEN = json.loads((Path(__file__).parents[2] / "oracles/resize.json").read_text())


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: f"{entry['type']}-{entry['scale']:.2g}")
def test_frozen_images(entry):
    kind = np.dtype(entry["type"])
    result = imresize(np.array(entry["image"], kind), entry["scale"])
    assert result.dtype == kind
    expected = np.array(entry["result"], kind)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 if kind.kind == "f" else 0)


def test_golden_images_cover_every_type_and_both_directions():
    kinds = {(entry["type"], entry["scale"] > 1) for entry in GOLDEN}
    assert {kind for kind, _ in kinds} == {"uint8", "uint16", "float64"}
    assert {up for _, up in kinds} == {True, False}


@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    new=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_any_size_equals_the_definition(height, width, new, seed):
    image = np.random.default_rng(seed).normal(size=(height, width, 2))
    expected = naive_resize(image, (new[0] / height, new[1] / width), new)
    np.testing.assert_allclose(imresize(image, size=new), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0, 3.0])
def test_equals_torch_away_from_the_border(scale):
    image = np.random.default_rng(0).normal(size=(48, 40))
    size = (int(48 * scale), int(40 * scale))
    tensor = torch.from_numpy(image)[None, None]
    theirs = torch.nn.functional.interpolate(tensor, size, mode="bicubic", antialias=True)[0, 0].numpy()
    edge = int(np.ceil(max(2, 2 * scale))) + 1
    inside = np.s_[edge:-edge, edge:-edge]
    np.testing.assert_allclose(imresize(image, scale)[inside], theirs[inside], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float64])
def test_scale_one_changes_nothing(kind):
    image = (np.random.default_rng(1).random((5, 9, 3)) * 250).astype(kind)
    np.testing.assert_array_equal(imresize(image, 1), image)
    np.testing.assert_array_equal(imresize(image, size=(5, 9)), image)


@pytest.mark.parametrize("scale", [0.5, 0.3, 1.5, 4])
@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_constant_image_stays_constant(scale, value):
    image = np.full((11, 6, 3), value, np.uint8)
    result = imresize(image, scale)
    assert np.unique(result).tolist() == [value]
    deep = imresize(image.astype(np.uint16) * 257, scale)
    assert np.unique(deep).tolist() == [value * 257]


def test_overshoot_is_clipped_for_integers_and_kept_for_floats():
    edge = np.zeros((8, 8), np.uint8)
    edge[:, 4:] = 255
    assert imresize(edge, 2).min() == 0
    assert imresize(edge, 2).max() == 255
    free = imresize(edge.astype(np.float32), 2)
    assert free.dtype == np.float64
    assert free.min() < -5
    assert free.max() > 260


def test_gray_and_color_agree_and_the_size_is_rounded_up():
    image = np.random.default_rng(2).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    result = imresize(image, 0.5)
    assert result.shape == (4, 3, 3)
    np.testing.assert_array_equal(imresize(image[:, :, 1], 0.5), result[:, :, 1])


@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 1 / 8])
def test_multiples_shrink_to_exact_sizes(scale):
    divisor = round(1 / scale)
    for side in range(1, 600):
        assert int(np.ceil(side * divisor * scale)) == side
    assert imresize(np.zeros((divisor * 7, divisor * 3)), scale).shape == (7, 3)


def test_weights_sum_to_one_and_the_input_is_not_touched():
    indices, weights = contributions(9, 4, 0.5)
    assert indices.min() >= 0
    assert indices.max() < 9
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-15)
    image = np.random.default_rng(3).random((6, 6))
    before = image.copy()
    imresize(image, 0.5)
    np.testing.assert_array_equal(image, before)


def test_kernel_has_keys_values():
    np.testing.assert_allclose(cubic(np.array([0, 0.5, -0.5, 1, 1.5, 2, 3])), [1, 0.5625, 0.5625, 0, -0.0625, 0, 0])


@pytest.mark.parametrize("arguments", [{}, {"scale": 2, "size": (4, 4)}])
def test_one_of_scale_and_size_is_needed(arguments):
    with pytest.raises(ValueError, match="either a scale or a size"):
        imresize(np.zeros((4, 4)), **arguments)


def test_empty_result_is_refused():
    with pytest.raises(ValueError, match="5x4 image cannot be resized to 0x2"):
        imresize(np.zeros((4, 5)), size=(2, 0))


def checked_crop(image, scale, top, left, height, width):
    before = image.copy()
    result = imresize_crop(image, scale, top, left, height, width)
    expected = imresize(image, 1 / scale)[top : top + height, left : left + width]
    assert result.dtype == image.dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(image, before)


def pattern(kind, scale, shape, seed):
    """Return noise, half levels that end in rounding ties, or the extremes that overshoot."""
    rng = np.random.default_rng(seed)
    most = np.iinfo(kind).max
    if seed % 3 == 0:
        return rng.integers(0, most + 1, shape).astype(kind)
    if seed % 3 == 1:  # columns that alternate between neighboring levels: their mean lies half-way
        level = int(rng.integers(0, most))
        return np.broadcast_to((level + np.arange(shape[1]) % 2)[None, :, None], shape).astype(kind)
    return (rng.integers(0, 2, shape) * most).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_cropped_decode_equals_crop_of_full_decode_bitwise(scale, kind):
    rng = np.random.default_rng(scale)
    for seed in range(30):
        rows, columns = (int(side) for side in rng.integers(1, 30, 2))
        more = rng.integers(0, scale, 2) * (seed % 2)  # sides that the factor does not divide are rounded up
        image = pattern(kind, scale, (rows * scale - int(more[0]), columns * scale - int(more[1]), 3), seed)
        height, width = int(rng.integers(1, rows + 1)), int(rng.integers(1, columns + 1))
        for top in {0, rows - height, int(rng.integers(0, rows - height + 1))}:
            for left in {0, columns - width, int(rng.integers(0, columns - width + 1))}:
                checked_crop(image, scale, top, left, height, width)


def test_half_levels_round_alike_in_the_part_and_the_whole():
    image = pattern(np.uint8, 2, (40, 40, 3), 1)
    exact = imresize(image.astype(np.float64), 0.5)[8:12, 8:12]
    assert np.all(exact % 1 == 0.5)  # so the patterns above do contain ties
    checked_crop(image, 2, 8, 8, 4, 4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_cropped_decode_of_gray_and_float_images(scale):
    image = np.random.default_rng(5).normal(size=(scale * 9, scale * 8))
    checked_crop(image, scale, 2, 0, 5, 8)
    checked_crop((image * 20 + 100).astype(np.uint8), scale, 0, 3, 9, 5)


def test_only_the_pixels_that_matter_are_read():
    image = np.full((200, 200, 3), np.nan)
    image[40:80, 60:100] = 7.0
    np.testing.assert_array_equal(imresize_crop(image, 2, 22, 32, 16, 16), np.full((16, 16, 3), 7.0))


@pytest.mark.parametrize("part", [(-1, 0, 2, 2), (0, -1, 2, 2), (0, 0, 0, 2), (0, 0, 2, 0), (4, 0, 2, 2), (0, 5, 2, 2)])
def test_region_beyond_the_image_is_refused(part):
    with pytest.raises(ValueError, match="are not in a 6x5 image"):
        imresize_crop(np.zeros((10, 12, 3), np.uint8), 2, *part)
