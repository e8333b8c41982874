"""DIS against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.dis import SIZES, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (3, {"num_features": 8, "num_blocks": 2}, [0.436387, 0.516349, 0.554808]),
        (4, {"num_features": 8, "num_blocks": 2, "use_depthwise": True}, [0.335757, 0.240984, 0.465882]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("dis", options, scale=scale)) == pytest.approx(numbers, abs=2e-6)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"head.weight": torch.zeros(1)}) is None


def test_input_that_cannot_be_added_is_refused():
    assert ARCHS.build("dis", {"in_channels": 1}, scale=2)(torch.rand(1, 1, 4, 4)).shape == (1, 3, 8, 8)
    with pytest.raises(ValueError, match="must be 1 or 3"):
        ARCHS.build("dis", {"in_channels": 4}, scale=2)
