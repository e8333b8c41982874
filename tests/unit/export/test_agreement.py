import math

import pytest
import torch
from upscalekit import write_weights

from traiNNer.errors import NotExported
from traiNNer.export.agreement import SIZES, compare, pattern
from traiNNer.export.source import open_source


@pytest.fixture
def source(tmp_path):
    return open_source(write_weights(tmp_path))


def test_equal_functions_agree(source):
    found = compare(source, source.upscaled, "x")
    assert (found.largest, found.db) == (0.0, math.inf)
    assert "largest difference 0.0e+00 (equal) at 3 sizes; 64x64: torch" in str(found)


def test_difference_is_measured(source):
    found = compare(source, lambda images: source.upscaled(images) + 5e-5, "x")
    assert found.largest == pytest.approx(5e-5, rel=0.01)
    assert found.db == pytest.approx(86, abs=0.1)


def test_other_values_are_refused(source):
    with pytest.raises(NotExported, match=r"x differs from torch by 0\.01 for images of 64x64"):
        compare(source, lambda images: source.upscaled(images) + 0.01, "x")


def test_values_that_are_not_numbers_are_refused(source):
    with pytest.raises(NotExported, match="differs from torch by nan"):
        compare(source, lambda images: source.upscaled(images) * math.nan, "x")


def test_half_precision_may_differ_by_what_no_eye_sees(source):
    assert compare(source, lambda images: source.upscaled(images) + 2e-3, "x", half=True).db == pytest.approx(54, abs=1)
    with pytest.raises(NotExported, match="less than 40: the network needs float32"):
        compare(source, lambda images: source.upscaled(images) + 0.02, "x", half=True)


def test_function_of_one_size_alone_is_found(source):
    known = SIZES[0]

    def call(images):
        if tuple(images.shape[-2:]) != known:
            raise RuntimeError("no such size\nadvice")
        return source.upscaled(images)

    with pytest.raises(NotExported, match=r"x fails for images of 51x37 \(no such size\)"):
        compare(source, call, "x")
    with pytest.raises(NotExported, match="come out as 128x128, not 102x74"):
        compare(source, lambda images: source.upscaled(pattern(*known)), "x")


def test_pattern_is_the_same_and_uses_the_range():
    assert torch.equal(pattern(9, 7), pattern(9, 7))
    image = pattern(64, 64)
    assert image.shape == (1, 3, 64, 64)
    assert 0 <= image.min() < 0.1
    assert 0.9 < image.max() <= 1
