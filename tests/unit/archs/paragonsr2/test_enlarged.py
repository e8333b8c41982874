"""Convolving before the smoothing against convolving after it."""

import pytest
import torch
from torch import nn

from traiNNer.archs.paragonsr2 import border
from traiNNer.archs.paragonsr2.enlarged import conv_first, enlarge, may_convolve_first

LAST = torch.channels_last


@pytest.fixture(autouse=True)
def _however_small(monkeypatch):
    monkeypatch.setattr(border, "LEAST_PIXELS", 0)


def case(*shape: int, outer: int = 4, dtype: torch.dtype = torch.float64) -> tuple:
    """Return features, lopsided filters along columns and rows, and a convolution."""
    torch.manual_seed(sum(shape) + outer)
    channels = shape[1]
    x = torch.randn(shape, dtype=dtype).contiguous(memory_format=LAST).requires_grad_()
    down, across = torch.randn(2, 5, dtype=dtype)
    smooth = (down.view(1, 1, 5, 1).repeat(channels, 1, 1, 1), across.view(1, 1, 1, 5).repeat(channels, 1, 1, 1))
    return x, smooth, nn.Conv2d(channels, outer, 3, padding=1).to(dtype, memory_format=LAST)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("shape", [(2, 6, 4, 5), (1, 3, 2, 2), (2, 4, 3, 2)])
def test_order_does_not_matter_to_output_and_gradients(shape, scale):
    x, smooth, conv = made = case(*shape)
    assert may_convolve_first(*made, scale)
    trained = [x, *conv.parameters()]
    plain, first = conv(enlarge(x, smooth, scale)), conv_first(*made, scale)
    torch.testing.assert_close(first, plain, rtol=0, atol=1e-10)
    weights = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weights).sum(), trained)
    for one, other in zip(torch.autograd.grad((first * weights).sum(), trained), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
        assert other.abs().max() > 0


def test_filters_that_differ_or_are_trained_keep_their_place():
    x, smooth, conv = case(1, 6, 4, 4)
    assert may_convolve_first(x, smooth, conv, 2)
    other = smooth[0].clone()
    other[-1, 0, 2] += 1e-3
    assert not may_convolve_first(x, (other, smooth[1]), conv, 2)
    assert not may_convolve_first(x, (smooth[0].clone().requires_grad_(), smooth[1]), conv, 2)
    assert not may_convolve_first(x, (smooth[0][:, :, 1:-1], smooth[1]), conv, 2)


@pytest.mark.parametrize(
    ("shape", "scale", "dtype"),
    [((1, 6, 4, 4), 3, torch.float32), ((1, 6, 1, 4), 2, torch.float32), ((1, 6, 4, 4), 2, torch.bfloat16)],
)
def test_other_scales_lines_of_pixels_and_half_precision_keep_the_order(shape, scale, dtype):
    assert not may_convolve_first(*case(*shape, dtype=dtype), scale)


def test_other_layouts_keep_the_order():
    x, smooth, conv = case(1, 6, 4, 4)
    assert not may_convolve_first(x.contiguous(), smooth, conv, 2)


@pytest.mark.parametrize(("side", "exchanges"), [(31, False), (32, True)])
def test_small_images_are_not_worth_their_border(monkeypatch, side, exchanges):
    monkeypatch.undo()
    assert may_convolve_first(*case(4, 2, side, 32), 2) is exchanges
