import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from traiNNer.losses.ms_ssim_l1 import MSSSIML1Loss

SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)


def pair(side=40):
    generator = torch.Generator().manual_seed(0)
    target = torch.nn.functional.avg_pool2d(torch.rand(2, 3, side, side, generator=generator), 5, 1, 2)
    return target + 0.05 * torch.randn(target.shape, generator=generator), target


def blur(images, sigma):
    margin = max(1, round(2 * sigma))
    bell = np.exp(-(np.arange(-margin, margin + 1) ** 2) / (2 * sigma**2))
    bell /= bell.sum()
    return correlate1d(correlate1d(images, bell, axis=2, mode="mirror"), bell, axis=3, mode="mirror")


def restated(output, target, alpha):
    x, y = output.double().numpy(), target.double().numpy()
    product = np.ones_like(x)
    for sigma in SIGMAS:
        mx, my = blur(x, sigma), blur(y, sigma)
        vx, vy, cov = blur(x * x, sigma) - mx**2, blur(y * y, sigma) - my**2, blur(x * y, sigma) - mx * my
        value = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
        if sigma == 8:
            value = value * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        low = (value - 0.05) / 0.05 + np.log(0.05)
        product *= np.exp(np.where(value > 0.05, np.log(np.maximum(value, 0.05)), low))
    return alpha * (1 - product.mean()) + (1 - alpha) * blur(np.abs(x - y), 8).mean()


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.84, 1.0])
def test_agrees_with_a_float64_restatement(alpha):
    output, target = pair()
    assert MSSSIML1Loss(alpha)(output, target).item() == pytest.approx(restated(output, target, alpha), rel=2e-4)


def test_the_order_of_sigmas_does_not_matter():
    shuffled = MSSSIML1Loss(gaussian_sigmas=(8.0, 0.5, 2.0, 4.0, 1.0))
    torch.testing.assert_close(shuffled(*pair()), MSSSIML1Loss()(*pair()))


def test_crops_too_small_for_the_widest_window_are_refused():
    assert MSSSIML1Loss()(*pair(17)).isfinite()
    with pytest.raises(ValueError, match="sigma 8 needs images of at least 17 pixels"):
        MSSSIML1Loss()(*pair(16))
