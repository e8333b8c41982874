"""Spans over a folder: how many images have a thing, and between which values."""

import numpy as np
import pytest

from traiNNer.estimate.picture import Picture
from traiNNer.estimate.summary import gray_share, span, subsamplings


def test_span_holds_nine_tenths_of_the_images():
    found = span([Picture(noise=float(level)) for level in range(1, 101)], "noise")
    assert (found.low, found.middle, found.high) == pytest.approx((5.95, 50.5, 95.05))
    assert (found.images, found.seen, found.share) == (100, 100, 1)


def test_span_is_no_narrower_than_the_usual_error():
    found = span([Picture(blur=2.0)] * 3, "blur")
    assert (found.low, found.middle, found.high) == pytest.approx((1.76, 2.0, 2.24))


def test_quality_from_tables_is_exact_and_from_pixels_is_not():
    assert span([Picture(quality=75, is_exact=True)], "quality").low == 75
    mixed = [Picture(quality=75, is_exact=True), Picture(quality=75)]
    assert span(mixed, "quality").low == pytest.approx(69)
    assert span([Picture(quality=98)], "quality").high == 100


def test_images_that_hide_it_do_not_count():
    pictures = [Picture(noise=5.0), Picture(), *[Picture(hidden=frozenset({"noise"}))] * 8]
    assert (span(pictures, "noise").images, span(pictures, "noise").seen) == (1, 2)
    assert span([Picture(hidden=frozenset({"noise"}))], "noise") is None


def test_few_images_among_many_are_chance():
    assert span([Picture(blur=1.0), *[Picture()] * 20], "blur") is None
    assert span([Picture(blur=1.0), *[Picture()] * 19], "blur").share == 0.05


def test_names_are_counted():
    pictures = [Picture(subsampling=way) for way in ("444", "420", "420", None)]
    assert list(subsamplings(pictures).items()) == [("420", 2), ("444", 1)]


def test_noise_of_unknown_color_counts_as_gray():
    pictures = [Picture(noise=5, is_gray=gray) for gray in (True, False, None, False)] + [Picture()]
    assert gray_share(pictures) == 0.5
    assert gray_share([Picture()]) == 0
    assert np.isfinite(gray_share([]))
