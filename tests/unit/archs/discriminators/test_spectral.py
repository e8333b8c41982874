import torch
from torch import nn
from torch.nn.utils import spectral_norm

from traiNNer.archs.discriminators.spectral import SpectralConv2d


def pair():
    """Return our convolution and torch's with the same tensors, which have the same names."""
    torch.manual_seed(0)
    ours, theirs = SpectralConv2d(3, 8, 3, 2, 1), spectral_norm(nn.Conv2d(3, 8, 3, 2, 1))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_same_function_as_torchs_in_both_modes():
    ours, theirs = pair()
    x = torch.rand(2, 3, 9, 9)
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-6)


def test_same_gradient_as_torchs():
    ours, theirs = pair()
    x = torch.rand(2, 3, 9, 9)
    for module in (ours, theirs):
        module(x).square().sum().backward()
    torch.testing.assert_close(ours.weight_orig.grad, theirs.weight_orig.grad, rtol=1e-4, atol=1e-6)


def test_largest_singular_value_is_one_from_the_start():
    ours, _ = pair()
    sigma = torch.linalg.matrix_norm(ours.weight_orig.flatten(1), 2)
    followed = ours.weight_u @ ours.weight_orig.flatten(1) @ ours.weight_v
    assert 0.97 * sigma < followed <= 1.0001 * sigma


def test_two_passes_and_one_backward():
    ours, _ = pair()
    x = torch.rand(2, 3, 9, 9)
    (ours(x).mean() + ours(1 - x).mean()).backward()
    assert ours.weight_orig.grad is not None


def test_only_training_moves_the_estimate():
    ours, _ = pair()
    with torch.no_grad():
        ours.weight_orig.add_(torch.rand_like(ours.weight_orig))
    before = ours.weight_u.clone()
    ours.eval()(torch.rand(1, 3, 5, 5))
    assert torch.equal(before, ours.weight_u)
    ours.train()(torch.rand(1, 3, 5, 5))
    assert not torch.equal(before, ours.weight_u)
