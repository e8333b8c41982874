"""LKFMixer against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.lkfmixer import SIZES, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (2, {"channels": 8, "num_block": 2, "large_kernel": 9}, [-0.023947, 1.014878, -0.123151]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("lkfmixer", options, scale=scale), 8, 16) == pytest.approx(numbers, abs=2e-6)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"conv_first.weight": torch.zeros(1)}) is None


def test_large_kernel_needs_channels():
    with pytest.raises(ValueError, match="leaves none of 2 channels"):
        ARCHS.build("lkfmixer", {"channels": 2}, scale=2)
