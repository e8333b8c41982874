import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from traiNNer.metrics.psnr import PSNR, mean_squared_error

ORACLES = Path(__file__).parents[2] / "oracles"
CASES = json.loads((ORACLES / "metrics.json").read_text())["cases"]


def stored(name):
    return cv2.cvtColor(cv2.imread(str(ORACLES / f"metrics_{name}.png")), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("case", CASES)
def test_frozen_numbers(case):
    metric = PSNR(scale=7, crop_border=case["crop_border"], test_y_channel=case["test_y_channel"])
    assert metric(stored("output"), stored("target")) == pytest.approx(case["psnr"], abs=1e-9)


def test_border_defaults_to_the_scale_and_channel_to_luma():
    expected = next(c["psnr"] for c in CASES if c["crop_border"] == 2 and c["test_y_channel"])
    assert PSNR(scale=2)(stored("output"), stored("target")) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("noise", [1, 20, 255])
def test_agrees_with_scikit_image(noise):
    generator = np.random.default_rng(noise)
    target = generator.integers(0, 256, (150, 201, 3), dtype=np.uint8)
    output = np.clip(target + generator.integers(-noise, noise + 1, target.shape), 0, 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(target, output, data_range=255)
    assert PSNR(2, crop_border=0, test_y_channel=False)(output, target) == pytest.approx(expected, abs=1e-10)


def test_equal_images_have_infinite_psnr():
    assert PSNR(2)(stored("output"), stored("output")) == math.inf


def test_extremes_are_exact_however_large():
    black, white = np.zeros((700, 900, 3), np.uint8), np.full((700, 900, 3), 255, np.uint8)
    assert mean_squared_error(black, white) == 255**2
    assert PSNR(2, test_y_channel=False)(black, white) == 0
