"""Measurements of one pair with a known difference."""

import numpy as np
import pytest
from imagekit import moved, numbers, photo, write_png

from traiNNer.audit.kernels import shrink
from traiNNer.audit.measures import WINDOW, measure
from traiNNer.data.files.pairing import Pair
from traiNNer.imaging.image_file import ImageError

PHOTO = photo(size=(192, 192), top=60, left=150)


def small(image: np.ndarray, scale: int = 2) -> np.ndarray:
    return np.clip(np.rint(shrink(image.astype(np.float32), scale)), 0, 255).astype(np.uint8)


def measured(folder, gt, lq=None, scale=2, **options):
    pair = Pair("a", None if lq is None else write_png(folder / "lr.png", lq), write_png(folder / "hr.png", gt))
    return measure(pair, scale, **options)


def test_mean_and_spread_are_those_of_the_luma(tmp_path):
    gt = np.zeros((32, 32, 3), np.uint8)
    gt[:16] = (100, 0, 0)
    found = measured(tmp_path, gt)
    assert found.mean == pytest.approx(0.299 * 100 / 2, rel=1e-4)
    assert found.spread == pytest.approx(0.299 * 100 / 2, rel=1e-4)
    assert found.pair is None


def test_16_bit_images_are_measured_on_the_same_scale(tmp_path):
    eight = measured(tmp_path, PHOTO)
    deep = measured(tmp_path, PHOTO.astype(np.uint16) * 257)
    assert deep.mean == pytest.approx(eight.mean, rel=1e-5)
    assert deep.spread == pytest.approx(eight.spread, rel=1e-5)


def test_aligned_pair_has_no_shift_and_the_same_color(tmp_path):
    found = measured(tmp_path, PHOTO, small(PHOTO)).pair
    assert abs(found.alignment.dy) < 0.1
    assert abs(found.alignment.dx) < 0.1
    assert np.abs(found.color).max() < 0.5
    assert found.contrast == pytest.approx((1, 1, 1), abs=0.01)


def test_shift_is_reported_in_hr_pixels_and_corrected(tmp_path):
    found = measured(tmp_path, PHOTO, small(moved(PHOTO, 2, -1))).pair
    assert found.alignment.dy == pytest.approx(2, abs=0.3)
    assert found.alignment.dx == pytest.approx(-1, abs=0.3)
    assert found.left_over < 0.5


def test_channel_brightness_and_contrast_are_reported(tmp_path):
    lq = small(PHOTO).astype(np.float32)
    lq[:, :, 0] = lq[:, :, 0] * 0.5 + 20
    found = measured(tmp_path, PHOTO, np.rint(lq).astype(np.uint8)).pair
    mean = small(PHOTO)[:, :, 0].mean()
    assert found.color[0] == pytest.approx(20 - mean / 2, abs=1)
    assert np.abs(found.color[1:]).max() < 0.5
    assert found.contrast[0] == pytest.approx(0.5, abs=0.02)
    assert found.contrast[1:] == pytest.approx((1, 1), abs=0.01)


def test_without_a_scale_or_structure_only_hr_is_measured(tmp_path):
    assert measured(tmp_path, PHOTO, small(PHOTO), scale=None).pair is None
    even = np.full((64, 64, 3), 100, np.uint8)
    assert measured(tmp_path, even, even[::2, ::2]).pair is None


def test_large_images_are_measured_at_the_center(tmp_path):
    gt = np.zeros((WINDOW + 400, WINDOW + 400, 3), np.uint8)
    gt[200:-200, 200:-200] = 80
    found = measured(tmp_path, gt)
    assert found.mean == pytest.approx(80, rel=1e-4)
    assert found.spread == pytest.approx(0, abs=1e-3)


def test_lr_and_hr_are_cut_at_the_same_place(tmp_path):
    gt = numbers(70, 80, 3).repeat(12, 0).repeat(12, 1)  # 840 x 960
    found = measured(tmp_path, gt, small(gt)).pair
    assert abs(found.alignment.dy) < 0.2
    assert abs(found.alignment.dx) < 0.2
    assert np.abs(found.color).max() < 0.5


def test_too_large_input_is_refused(tmp_path):
    with pytest.raises(ImageError, match="limit"):
        measured(tmp_path, PHOTO, max_megapixels=0.01)
