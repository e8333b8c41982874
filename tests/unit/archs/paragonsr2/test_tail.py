"""The merged tail against its plain form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from traiNNer import build_network
from traiNNer.archs.paragonsr2 import border
from traiNNer.archs.paragonsr2.tail import _falls, _falls_of_constant, few_outputs, may_merge, merged_tail, plain_tail

LAST = torch.channels_last


@pytest.fixture(autouse=True)
def _however_small(monkeypatch):
    monkeypatch.setattr(border, "LEAST_PIXELS", 0)


def case(*shape: int, out: int = 3, dtype: torch.dtype = torch.float64) -> tuple:
    """Return features, activated features, and the two convolutions."""
    torch.manual_seed(sum(shape) + out)
    channels = shape[1]
    x, activated = (torch.randn(shape, dtype=dtype).contiguous(memory_format=LAST).requires_grad_() for _ in range(2))
    convs = (nn.Conv2d(channels, outer, 3, padding=1).to(dtype, memory_format=LAST) for outer in (channels, out))
    return x, activated, *convs


@pytest.mark.parametrize(("shape", "out"), [((2, 18, 8, 10), 3), ((1, 17, 2, 2), 1), ((2, 20, 2, 6), 4)])
def test_merged_tail_equals_the_plain_one_with_every_gradient(shape, out):
    x, activated, conv2, conv_out = made = case(*shape, out=out)
    assert may_merge(x, conv_out)
    trained = [x, activated, *conv2.parameters(), *conv_out.parameters()]
    plain, merged = plain_tail(*made), merged_tail(*made)
    torch.testing.assert_close(merged, plain, rtol=0, atol=1e-10)
    weights = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weights).sum(), trained)
    for one, other in zip(torch.autograd.grad((merged * weights).sum(), trained), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
        assert other.abs().max() > 0


def test_convolution_with_few_outputs_passes_gradcheck():
    x, kernel = case(2, 2, 4, 6)[0], torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    output, rows, columns = few_outputs(x, kernel)
    torch.testing.assert_close(output, F.conv2d(x, kernel, padding=1), rtol=0, atol=1e-12)
    assert torch.equal(rows, x[:, :, [0, -1]])
    assert torch.equal(columns, x[..., [0, -1]])
    assert torch.autograd.gradcheck(few_outputs, (x, kernel))


@pytest.mark.parametrize(
    ("shape", "out", "dtype", "merges"),
    [
        ((1, 24, 4, 6), 3, torch.float32, True),
        ((1, 24, 4, 6), 5, torch.float32, False),
        ((1, 16, 4, 6), 3, torch.float32, False),
        ((1, 24, 4, 7), 3, torch.float32, False),
        ((1, 24, 5, 6), 3, torch.float32, False),
        ((1, 24, 4, 6), 3, torch.bfloat16, False),
    ],
)
def test_merging_is_for_few_outputs_of_many_channels_in_full_precision(shape, out, dtype, merges):
    x, _, _, conv_out = case(*shape, out=out, dtype=dtype)
    assert may_merge(x, conv_out) is merges
    assert not may_merge(x.contiguous(), conv_out)


@pytest.mark.parametrize(("side", "merges"), [(126, False), (128, True)])
def test_small_images_are_not_worth_their_border(monkeypatch, side, merges):
    monkeypatch.undo()
    x, _, _, conv_out = case(1, 17, side, 128, dtype=torch.float32)
    assert may_merge(x, conv_out) is merges


@pytest.mark.filterwarnings("ignore:ParagonSR2 evaluates with identity kernels")
def test_network_that_was_validated_first_can_be_trained():
    """`trainner init` validates before it trains: what the tail keeps was a tensor of inference, and a step failed."""
    _falls.cache_clear()
    _falls_of_constant.cache_clear()
    network = build_network("paragonsr2_nano", scale=2).to(memory_format=LAST)
    image = torch.rand(1, 3, 16, 16).contiguous(memory_format=LAST)
    with torch.inference_mode():
        network.eval()(image)
    assert _falls.cache_info().currsize == 1
    network.train()(image).mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)
