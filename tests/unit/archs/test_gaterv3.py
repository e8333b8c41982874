"""GateRV3 against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.gaterv3 import SIZES, GateRV3, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (
            2,
            {"dim": 8, "enc_blocks": [1, 1], "dec_blocks": [1, 1], "num_latent": 1, "sisr_blocks": 1},
            [-0.166806, 0.142139, -0.108323],
        ),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("gaterv3", options, scale=scale), 16, 32) == pytest.approx(numbers, abs=5e-6)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"in_to_dim.weight": torch.zeros(1)}) is None


def test_as_many_sizes_up_as_down():
    with pytest.raises(ValueError, match="as many numbers as enc_blocks"):
        ARCHS.build("gaterv3", {"enc_blocks": [1, 1], "dec_blocks": [1]}, scale=2)


def test_features_do_not_vanish_on_their_way_through_the_short_network():
    torch.manual_seed(0)
    network = GateRV3(2, enc_blocks=(1,), dec_blocks=(1,), num_latent=1)
    with torch.no_grad():
        y = network.in_to_dim(torch.rand(1, 3, 24, 24))
        for block in (network.span_block0, *network.span_n_b, network.span_end):
            y, _ = block(y)
    assert 0.05 < y.std() < 5  # begun as published, zero
