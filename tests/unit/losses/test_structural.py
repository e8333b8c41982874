import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

from traiNNer.losses.structural import MSSIMLoss, SSIMLoss, weights_that_fit


def pair(side, noise=0.1, width=None):
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, side, width or side, generator=generator)
    target = torch.nn.functional.avg_pool2d(target, 5, 1, 2)
    return (target + noise * torch.randn(target.shape, generator=generator)), target


def planes(output, target):
    return zip(output.flatten(0, 1).numpy(), target.flatten(0, 1).numpy(), strict=True)


def restated(output, target):
    """MS-SSIM of one plane in float64 with scipy filters, as in the paper."""
    x, y = output.astype(np.float64), target.astype(np.float64)
    bell = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    bell /= bell.sum()

    def blur(plane):
        return correlate1d(correlate1d(plane, bell, axis=0), bell, axis=1)[5:-5, 5:-5]

    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    count = sum(min(x.shape) // 2**k >= 11 for k in range(5))
    weights = weights[:count] / weights[:count].sum()
    result = 1.0
    for k, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        value = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
        if k == count - 1:
            value = value * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        result *= value.mean() ** weight
        h, w = (side // 2 * 2 for side in x.shape)
        x, y = (p[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3)) for p in (x, y))
    return result


@pytest.mark.parametrize(("side", "width"), [(48, 48), (96, 96), (61, 75), (180, 176)])
def test_agrees_with_a_float64_restatement(side, width):
    output, target = pair(side, width=width)
    expected = 1 - np.mean([restated(o, t) for o, t in planes(output, target)])
    assert 0.01 < expected < 0.9
    assert MSSIMLoss()(output, target).item() == pytest.approx(expected, abs=2e-5)


def test_one_scale_equals_scikit_image_ssim():
    output, target = pair(21)
    values = [
        structural_similarity(o, t, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for o, t in planes(output.double(), target.double())
    ]
    assert MSSIMLoss()(output, target).item() == pytest.approx(1 - np.mean(values), abs=1e-5)


@pytest.mark.parametrize(("side", "count"), [(11, 1), (21, 1), (22, 2), (48, 3), (96, 4), (176, 5), (1000, 5)])
def test_number_of_scales_fits_the_image(side, count):
    weights = weights_that_fit(side)
    assert len(weights) == count
    assert sum(weights) == pytest.approx(1, abs=1e-12)


def test_crops_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="at least 11x11"):
        MSSIMLoss()(*pair(10))


def test_gradient_lowers_the_loss_even_from_a_negative():
    # Anti-correlated images have negative similarities, for which a plain power has no gradient.
    _, target = pair(48)
    output = (1 - target).clone().requires_grad_()
    loss = MSSIMLoss()
    before = loss(output, target)
    before.backward()
    gradient = output.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 1e-8
    step = 1e-2 * gradient / gradient.abs().max()
    assert loss(output.detach() - step, target) < before


def test_has_no_state_to_save():
    assert not MSSIMLoss().state_dict()


@pytest.mark.parametrize(("side", "width"), [(11, 30), (48, 41)])
def test_ssim_agrees_with_scikit_image(side, width):
    output, target = pair(side, width=width)
    values = [
        structural_similarity(o, t, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for o, t in planes(output.double(), target.double())
    ]
    assert 0.05 < 1 - np.mean(values) < 0.95
    assert SSIMLoss()(output, target).item() == pytest.approx(1 - np.mean(values), abs=1e-5)
    with pytest.raises(ValueError, match="SSIMLoss needs images of at least 11x11 pixels; these have a side of 10"):
        SSIMLoss()(*pair(10))
