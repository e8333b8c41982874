"""RTMoSR against numbers of an independent implementation with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from archkit import probe

from traiNNer.archs.rtmosr import SIZES, ChannelConv, SummedConv, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (3, {"dim": 8}, [0.50444, 0.361382, 0.984352]),
        (
            2,
            {"dim": 8, "unshuffle_mod": True, "dccm": False, "se": False, "ffn_expansion": 1.5},
            [0.476627, 0.856453, -0.285942],
        ),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("rtmosr", options, scale=scale), 8, 16) == pytest.approx(numbers, abs=2e-6)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"to_feat.conv2.weight": torch.zeros(1)}) is None


def test_summed_convolution_is_the_sum_of_its_parts():
    torch.manual_seed(0)
    layer, x = SummedConv(3, 5), torch.randn(1, 3, 6, 7)
    torch.nn.init.normal_(layer.alpha)
    padded, one = F.pad(x, (1, 1, 1, 1)), layer.conv1
    twice = F.conv2d(F.conv2d(padded, one.k0, one.b0), one.k1, one.b1)
    parts = (twice, layer.conv2(x), layer.conv3.train()(x))
    expected = sum(alpha * part for alpha, part in zip(layer.alpha, parts, strict=True))
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    layer.state_dict()  # writes the sum for those who read it there
    torch.testing.assert_close(layer.conv_3x3_rep(x), expected, rtol=0, atol=1e-5)
    assert not layer.conv_3x3_rep.weight.requires_grad


def test_convolution_of_channels_is_the_sum_of_its_parts():
    torch.manual_seed(0)
    layer, x = ChannelConv(4), torch.randn(1, 4, 6, 7)
    alphas = (layer.alpha1, layer.alpha2, layer.alpha3, layer.alpha4)
    for alpha in alphas:
        torch.nn.init.normal_(alpha)
    parts = (x, layer.conv1x1(x), layer.conv3x3(x), layer.conv5x5(x))
    expected = sum(alpha * part for alpha, part in zip(alphas, parts, strict=True))
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)


def test_folding_has_no_scale_3():
    with pytest.raises(ValueError, match="scale 3 needs unshuffle_mod: false"):
        ARCHS.build("rtmosr", {"unshuffle_mod": True}, scale=3)
