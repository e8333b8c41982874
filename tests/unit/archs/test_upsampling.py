"""Upsamplers, and what a file says of them."""

import pytest
import torch

from traiNNer.archs.upsampling import WAYS, Upsampler, read_record


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_image_is_enlarged_and_the_way_recorded(way, scale):
    layers = Upsampler(way, scale, 8, 3, 4)
    assert layers(torch.rand(1, 8, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)
    assert read_record(layers.MetaUpsample) == (way, scale, 4)


def test_plain_convolution_is_for_scale_1():
    assert len(Upsampler("conv", 1, 8, 3, 4)) == 1
    with pytest.raises(ValueError, match="for scale 1, not 2"):
        Upsampler("conv", 2, 8, 3, 4)


def test_first_version_samples_the_features_as_they_are():
    assert [type(layer).__name__ for layer in Upsampler("dysample", 2, 8, 3, 4, version=1)] == ["DySample"]
    assert len(Upsampler("dysample", 2, 8, 3, 4)) == 3
