"""SPANPlus against numbers of an independent implementation with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from archkit import probe

from traiNNer.archs.spanplus import DySample, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (3, {"blocks": [1, 2], "upsampler": "dys"}, [-0.149813, 0.088492, -0.030055]),
        (2, {"blocks": [1], "upsampler": "ps"}, [0.053185, 0.158634, 0.130803]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    network = ARCHS.build("spanplus", {"feature_channels": 8, **options}, scale=scale)
    assert probe(network) == pytest.approx(numbers, abs=2e-6)


def test_new_upsampler_enlarges_linearly():
    layer, x = DySample(4, 4, 2), torch.randn(1, 4, 5, 6)
    with torch.no_grad():
        layer.offset.weight.zero_()
        layer.offset.bias.zero_()
        layer.end_conv.weight.copy_(torch.eye(4).view(4, 4, 1, 1))
        layer.end_conv.bias.zero_()
        expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["spanplus", "spanplus_s", "spanplus_st", "spanplus_sts"])
def test_options_are_read_from_the_weights(name):
    for scale in (1, 2, 3, 4):
        found = infer_options(ARCHS.build(name, scale=scale).state_dict())
        assert (found["type"], found["scale"]) == (name, scale)
    stages = infer_options(ARCHS.build(name, {"blocks": [1, 2], "feature_channels": 8}, scale=2).state_dict())
    assert (stages["type"], stages["blocks"], stages["feature_channels"]) == ("spanplus", [1, 2], 8)


def test_restoring_upsampler_is_for_scale_1():
    network = ARCHS.build("spanplus", {"upsampler": "conv", "feature_channels": 8}, scale=1)
    assert infer_options(network.state_dict())["upsampler"] == "conv"
    with pytest.raises(ValueError, match="for scale 1, not 2"):
        ARCHS.build("spanplus", {"upsampler": "conv"}, scale=2)
