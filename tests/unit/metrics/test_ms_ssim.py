import numpy as np
import pytest
from skimage.metrics import structural_similarity

from traiNNer.metrics.ms_ssim import MSSSIM

# Of pytorch-msssim 1.0.0, `ms_ssim(x, y, data_range=255)` in float64, for `pair(192, 208)`; made on 2026-11-29.
PACKAGE = 0.82039965


def pair(height, width):
    y, x = np.mgrid[0:height, 0:width]
    target = np.stack([3 * x + y, 4 * y, (x * y) // 17], axis=2) % 256
    noise = np.random.default_rng(0).integers(-60, 61, target.shape)
    return np.clip(target + noise, 0, 255).astype(np.uint8), target.astype(np.uint8)


def test_agrees_with_a_package():
    assert MSSSIM(2, 0, test_y_channel=False)(*pair(192, 208)) == pytest.approx(PACKAGE, abs=1e-6)


def test_one_scale_is_ssim():
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    output, target = pair(21, 30)
    expected = structural_similarity(output, target, channel_axis=2, **settings)
    assert MSSSIM(2, 0, test_y_channel=False)(output, target) == pytest.approx(expected, abs=1e-10)


def test_bounds():
    output, target = pair(60, 50)
    assert MSSSIM(2)(target, target) == pytest.approx(1, abs=1e-12)
    assert MSSSIM(2)(255 - target, target) >= 0
    with pytest.raises(ValueError, match="needs 11x11 pixels inside crop_border, not 10x10"):
        MSSSIM(2)(output[:14, :14], target[:14, :14])
