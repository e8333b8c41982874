import numpy as np
import pytest
import torch

from traiNNer.losses.pixel import CharbonnierLoss, HuberLoss, L1Loss, MSELoss
from traiNNer.utils.color import rgb_to_y


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 9, 7, generator=generator) * 1.4 - 0.2, torch.rand(2, 3, 9, 7, generator=generator)


def test_values_agree_with_float64(pair):
    difference = pair[0].numpy().astype(np.float64) - pair[1].numpy()
    assert L1Loss()(*pair).item() == pytest.approx(np.abs(difference).mean(), rel=1e-6)
    assert MSELoss()(*pair).item() == pytest.approx((difference**2).mean(), rel=1e-6)
    for eps in (1e-3, 0.1, 1e-6):
        expected = (np.sqrt(difference**2 + eps**2) - eps).mean()
        assert CharbonnierLoss(eps)(*pair).item() == pytest.approx(expected, rel=1e-6)


def test_charbonnier_is_exact_for_tiny_differences():
    # Far below eps it is d²/(2 eps), which the textbook form loses to cancellation in float32.
    output, target = torch.full((1, 3, 4, 4), 1e-6), torch.zeros(1, 3, 4, 4)
    assert CharbonnierLoss(1e-3)(output, target).item() == pytest.approx(1e-12 / 2e-3, rel=1e-5)


@pytest.mark.parametrize("eps", [1e-12, 1e-3])
def test_charbonnier_gradient_is_finite_at_identity(eps):
    output = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    CharbonnierLoss(eps)(output, output.detach().clone()).backward()
    assert output.grad is not None
    assert torch.equal(output.grad, torch.zeros_like(output))


@pytest.mark.parametrize("loss", [L1Loss(), MSELoss(), CharbonnierLoss(), HuberLoss()])
def test_half_precision_output_is_compared_in_float32(loss, pair):
    output = pair[0].bfloat16()
    value = loss(output, pair[1])
    assert value.dtype is torch.float32
    assert value.item() == pytest.approx(loss(output.float(), pair[1]).item(), rel=1e-6)


def test_luma_is_that_of_the_metrics(pair):
    output, target = (images.double().numpy().transpose(0, 2, 3, 1) * 255 for images in pair)
    expected = ((rgb_to_y(output) - rgb_to_y(target)) ** 2).mean() / 255**2
    assert MSELoss(luma=True)(*pair).item() == pytest.approx(expected, rel=1e-5)
    clips = [images[:, None].expand(-1, 3, -1, -1, -1) for images in pair]  # B, T, 3, H, W
    assert MSELoss(luma=True)(*clips).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("delta", [0.01, 0.3])
def test_huber_is_quadratic_then_absolute(pair, delta):
    difference = np.abs(pair[0].numpy().astype(np.float64) - pair[1].numpy())
    expected = np.where(difference < delta, difference**2 / (2 * delta), difference - delta / 2).mean()
    assert HuberLoss(delta)(*pair).item() == pytest.approx(expected, rel=1e-5)
