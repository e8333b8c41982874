import numpy as np
import pytest
import torch

from traiNNer.losses.correlation import CosimLoss, NCCLoss


def pair():
    return torch.rand(2, 2, 3, 9, 8, generator=torch.Generator().manual_seed(0))


def test_cosine_agrees_with_numpy():
    output, target = pair()
    x, y = (np.concatenate([i.double().numpy(), np.full((2, 1, 9, 8), 0.01)], 1) for i in (output, target))
    cosine = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
    assert CosimLoss()(output, target).item() == pytest.approx(5 * (1 - cosine).mean(), rel=1e-5)
    assert CosimLoss(2.0)(output, target).item() == pytest.approx(2 * (1 - cosine).mean(), rel=1e-5)


def test_cosine_ignores_brightness_but_not_color():
    color = torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1)
    assert CosimLoss()(0.5 * color, color).item() < 1e-3
    assert CosimLoss()(color.flip(1), color).item() > 0.5


@pytest.mark.parametrize("level", [-0.1, 0.0, 1.2])
def test_cosine_teaches_values_outside_the_range(level):
    output = torch.tensor([level, 0.5, 0.5]).view(1, 3, 1, 1).requires_grad_()
    CosimLoss()(output, torch.tensor([0.6, 0.5, 0.5]).view(1, 3, 1, 1)).backward()
    assert output.grad is not None
    assert output.grad[0, 0].abs() > 1e-3


def test_correlation_agrees_with_numpy():
    output, target = pair()
    pairs = zip(output.flatten(0, 1).double().numpy(), target.flatten(0, 1).double().numpy(), strict=True)
    expected = 1 - np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])
    assert NCCLoss()(output, target).item() == pytest.approx(expected, abs=1e-4)


def test_correlation_has_the_right_sign():
    target = pair()[1]
    assert NCCLoss()(0.3 + 0.5 * target, target).item() == pytest.approx(0, abs=1e-4)
    assert NCCLoss()(1 - target, target).item() == pytest.approx(2, abs=1e-3)
    flat = torch.full_like(target, 0.5)
    assert NCCLoss()(flat, flat).item() == pytest.approx(0, abs=1e-6)
