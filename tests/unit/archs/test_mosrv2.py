"""MoSRv2 against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.mosrv2 import BAND, infer_options
from traiNNer.archs.paragonsr2.layers import InceptionContext
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (2, {"dim": 8, "n_block": 2}, [0.49116, 0.300944, 0.855079]),
        (3, {"dim": 8, "n_block": 2, "rms_norm": True}, [0.486257, 0.747329, 1.696265]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("mosrv2", options, scale=scale), 8, 16) == pytest.approx(numbers, abs=5e-6)


@pytest.mark.parametrize("way", ["pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample"])
@pytest.mark.parametrize("unshuffle_mod", [True, False])
def test_options_are_read_from_the_weights(way, unshuffle_mod):
    options = {"dim": 16, "n_block": 2, "upsampler": way, "unshuffle_mod": unshuffle_mod, "mid_dim": 8}
    for scale in (1, 2, 3, 4):
        found = infer_options(ARCHS.build("mosrv2", options, scale=scale).state_dict())
        assert found["scale"] == scale
        assert {name: found[name] for name in options} == options | {"unshuffle_mod": unshuffle_mod or scale > 2}


def test_surroundings_are_a_square_a_row_and_a_column():
    torch.manual_seed(0)
    layer, x = InceptionContext(8, BAND), torch.rand(1, 8, 17, 17, requires_grad=True)
    for channel, count in ((4, 1), (5, 9), (6, 11), (7, 11)):
        gradient = torch.autograd.grad(layer(x)[0, channel, 8, 8], x)[0]
        assert int((gradient != 0).sum()) == count
