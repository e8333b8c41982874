import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from traiNNer.metrics.ssim import SSIM, STRIP_ROWS

ORACLES = Path(__file__).parents[2] / "oracles"
CASES = json.loads((ORACLES / "metrics.json").read_text())["cases"]


def stored(name):
    return cv2.cvtColor(cv2.imread(str(ORACLES / f"metrics_{name}.png")), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("case", CASES)
def test_frozen_numbers(case):
    metric = SSIM(scale=7, crop_border=case["crop_border"], test_y_channel=case["test_y_channel"])
    assert metric(stored("output"), stored("target")) == pytest.approx(case["ssim"], abs=1e-9)


def test_border_defaults_to_the_scale_and_channel_to_luma():
    expected = next(c["ssim"] for c in CASES if c["crop_border"] == 2 and c["test_y_channel"])
    assert SSIM(scale=2)(stored("output"), stored("target")) == pytest.approx(expected, abs=1e-9)


# Heights around the strips: one row of windows, exactly one strip, one row more, several.
@pytest.mark.parametrize("height", [11, STRIP_ROWS + 10, STRIP_ROWS + 11, 3 * STRIP_ROWS + 17])
def test_agrees_with_scikit_image(height):
    generator = np.random.default_rng(height)
    target = cv2.GaussianBlur(generator.integers(0, 256, (height, 57, 3), dtype=np.uint8), (5, 5), 1)
    output = np.clip(target + generator.integers(-20, 21, target.shape), 0, 255).astype(np.uint8)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = structural_similarity(output, target, channel_axis=2, **settings)
    assert SSIM(2, crop_border=0, test_y_channel=False)(output, target) == pytest.approx(expected, abs=1e-10)


def test_equal_and_flat_images():
    flat = np.full((20, 20, 3), 90, np.uint8)
    assert SSIM(2)(stored("output"), stored("output")) == pytest.approx(1, abs=1e-12)
    assert SSIM(2)(flat, flat) == pytest.approx(1, abs=1e-12)
    # Without structure only the means matter: (2 ab + c1) / (a² + b² + c1).
    expected = (2 * 90 * 200 + 6.5025) / (90**2 + 200**2 + 6.5025)
    assert SSIM(2, test_y_channel=False)(flat, np.full_like(flat, 200)) == pytest.approx(expected, abs=1e-10)


def test_image_smaller_than_the_window_is_refused():
    small = np.zeros((14, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="40x14 leaves 36x10 inside crop_border 2"):
        SSIM(2)(small, small)
