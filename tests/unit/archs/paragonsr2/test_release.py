"""The inference-only form, compared module by module with the training network."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from traiNNer.archs.paragonsr2.layers import DynamicTransformer, ParagonBlock, ResidualGroup
from traiNNer.archs.paragonsr2.network import ParagonSR2
from traiNNer.archs.paragonsr2.release import (
    ReleasedBlock,
    ReleasedGroup,
    ReleasedUpsampler,
    frozen_conv,
    phase_kernels,
)
from traiNNer.archs.paragonsr2.upsampler import MagicUpsampler
from traiNNer.registry import ARCHS


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def block(window: int | None = None) -> ParagonBlock:
    made = ParagonBlock(8, 5, DynamicTransformer(8, 12, 0.1, "tracked"), window)
    for scale in (made.ls1, made.ls2, *([made.ls3] if made.ls3 else [])):
        nn.init.normal_(scale.gamma)
    made(torch.rand(2, 8, 8, 8), False)  # tracks a kernel
    return made.eval()


def test_frozen_convolution_copies_weights_without_grad():
    weight, bias = torch.rand(6, 1, 3, 5, requires_grad=True), torch.rand(6)
    conv, x = frozen_conv(weight, bias, groups=6), torch.rand(1, 6, 7, 9)
    assert torch.equal(conv(x), F.conv2d(x, weight.detach(), bias, padding=(1, 2), groups=6))
    assert not any(parameter.requires_grad for parameter in conv.parameters())
    kept = conv.weight.clone()
    weight.data.zero_()
    bias.zero_()
    assert torch.equal(conv.weight, kept)
    assert conv.bias.all()


@pytest.mark.parametrize("window", [None, 4])
def test_released_block_equals_the_block_in_eval(window):
    made, x = block(window), torch.rand(1, 8, 8, 12)
    close(ReleasedBlock(made)(x), made(x, False))


def test_released_group_equals_the_group():
    group, x = ResidualGroup([block(), block()]), torch.rand(1, 8, 6, 7)
    close(ReleasedGroup(group)(x), group(x, False))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_phase_kernels_equal_the_upsampled_filter_inside_the_border(scale):
    kernels, x = torch.rand(2, 1, 5, 5), torch.rand(1, 2, 6, 7)
    enlarged = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    small = phase_kernels(kernels, scale)
    found = F.pixel_shuffle(F.conv2d(x, small, padding=small.shape[-1] // 2, groups=2), scale)
    close(found, F.conv2d(enlarged, kernels, padding=2, groups=2))


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_released_upsampler_equals_the_upsampler(alpha):
    upsampler, x = MagicUpsampler(3, 2, alpha), torch.rand(1, 3, 9, 11)
    released = ReleasedUpsampler(upsampler)
    close(released(x), upsampler(x))
    assert isinstance(released.sharpen, nn.Identity) == (alpha == 0)


def test_released_network_shares_no_tensors():
    network = ParagonSR2(2, 16, 1, 1, band_kernel_size=5).eval()
    released, x = ARCHS["paragonsr2"].traits.release(network), torch.rand(1, 3, 8, 8)
    expected = released(x)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(released(x), expected)
    assert not released.training
    assert not any(parameter.requires_grad for parameter in released.parameters())
