"""Scores of images on the device are those of the CPU."""

import numpy as np
import pytest
import torch

from traiNNer.metrics.psnr import PSNR
from traiNNer.metrics.ssim import SSIM


@pytest.mark.parametrize("luma", [True, False])
def test_the_device_scores_as_the_cpu_does(device, luma):
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (1356, 2040, 3))
    second = np.clip(first + random.integers(-9, 10, first.shape), 0, 255)
    a, b = first.astype(np.uint8), second.astype(np.uint8)
    there = [torch.from_numpy(image).to(device) for image in (a, b)]
    for metric in (PSNR(2, test_y_channel=luma), SSIM(2, test_y_channel=luma)):
        assert metric.on_device(*there) == pytest.approx(metric(a, b), abs=1e-6)
