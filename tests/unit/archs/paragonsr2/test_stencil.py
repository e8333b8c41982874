"""The stencils against plain float64 implementations."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from traiNNer.archs.paragonsr2.stencil import (
    enlarge_columns,
    enlarge_rows,
    filter_as_groups,
    filter_per_sample,
    filter_shared,
    has_channels_innermost,
    mean_of_planes,
)


def make(*shape: int, innermost: bool = False) -> Tensor:
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    x = x.contiguous(memory_format=torch.channels_last) if innermost else x
    return x.requires_grad_()


def by_definition(x: Tensor, kernels: Tensor) -> Tensor:
    """Sum of shifted images, tap by tap, with zeros outside."""
    padded, size = F.pad(x, (1, 1, 1, 1)), x.shape[-2:]
    taps = [(i, j) for i in range(3) for j in range(3)]
    shifted = [padded[:, :, i : i + size[0], j : j + size[1]] * kernels[:, :, i, j, None, None] for i, j in taps]
    return torch.stack(shifted).sum(0)


@pytest.mark.parametrize("innermost", [False, True])
def test_per_sample_filter_and_gradients_match_shifted_sums(innermost):
    x, kernels = make(3, 5, 6, 7, innermost=innermost), make(3, 5, 3, 3)
    assert has_channels_innermost(x) is innermost
    fast = filter_per_sample(x, kernels, 0.1)
    plain = F.leaky_relu(by_definition(x, kernels), 0.1)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(fast, filter_as_groups(x, kernels, 0.1), rtol=0, atol=1e-13)
    weights = make(3, 5, 6, 7)
    ours = torch.autograd.grad((fast * weights).sum(), (x, kernels))
    theirs = torch.autograd.grad((plain * weights).sum(), (x, kernels))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_custom_backward_passes_gradcheck():
    x, kernels = make(2, 3, 4, 3, innermost=True), make(2, 3, 3, 3)
    assert torch.autograd.gradcheck(lambda x, k: filter_per_sample(x, k, 0.1), (x, kernels))
    assert torch.autograd.gradcheck(mean_of_planes, (x,))


def test_mean_of_planes_is_the_mean():
    x = make(2, 3, 4, 5)
    same, mean = mean_of_planes(x)
    torch.testing.assert_close(same, x, rtol=0, atol=0)
    torch.testing.assert_close(mean, F.adaptive_avg_pool2d(x, 1).flatten(1))


def test_shared_filter_is_the_per_sample_filter_with_one_kernel():
    x, kernel = make(2, 4, 5, 6), make(4, 1, 3, 3)
    expected = by_definition(x, kernel.transpose(0, 1).expand(2, -1, -1, -1))
    torch.testing.assert_close(filter_shared(x, kernel), expected)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_enlargement_is_repetition_then_filter(scale):
    x, taps = make(2, 3, 4, 5), torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=torch.float64) / 16
    column, row = taps.view(1, 1, 5, 1).expand(3, 1, 5, 1), taps.view(1, 1, 1, 5).expand(3, 1, 1, 5)
    repeated = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    expected = F.conv2d(repeated, column * row, padding=2, groups=3)
    enlarged = enlarge_columns(enlarge_rows(x, column, scale), row, scale)
    torch.testing.assert_close(enlarged, expected, rtol=0, atol=1e-14)
