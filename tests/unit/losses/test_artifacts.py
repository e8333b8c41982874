import numpy as np
import pytest
import torch

from traiNNer.losses.artifacts import LDLLoss


def images(side=12):
    return torch.rand(3, 1, 3, side, side, generator=torch.Generator().manual_seed(0))


def restated(output, target, averaged):
    error, other = (np.abs((target - x).double().numpy()).sum(1)[0] for x in (output, averaged))
    padded = np.pad(error, 3, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    weight = error.var(ddof=1) ** 0.2 * windows.var((-2, -1), ddof=1)
    weight[error < other] = 0
    return weight, np.abs(weight * (output - target).double().numpy()).mean()


def test_agrees_with_a_float64_restatement():
    output, target, averaged = images()
    weight, expected = restated(output, target, averaged)
    assert 0.2 < (weight == 0).mean() < 0.8
    assert LDLLoss()(output, target, averaged).item() == pytest.approx(expected, rel=1e-4)


def test_small_errors_keep_their_variance():
    _, target, _ = images()
    output = target + 0.3 + 1e-3 * images()[0]
    _, expected = restated(output, target, target)
    assert LDLLoss()(output, target, target).item() == pytest.approx(expected, rel=1e-2)


def test_weight_has_no_gradient_and_none_is_infinite():
    output, target, _ = images()
    output.requires_grad_()
    LDLLoss()(output, target, target).backward()
    weight, _ = restated(output.detach(), target, target)
    expected = weight * np.sign((output.detach() - target).numpy()) / output.numel()
    np.testing.assert_allclose(output.grad, expected, rtol=1e-3, atol=1e-9)


def test_images_without_a_window_are_refused():
    with pytest.raises(ValueError, match="at least 7x7"):
        LDLLoss()(*images(6))
