"""ELAN against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.elan import SIZES, ShiftedConv, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (2, {"m_elan": 2, "c_elan": 12}, [0.001616, 1.988049, 2.134248]),
        (2, {"m_elan": 4, "c_elan": 12, "n_share": 1}, [0.356365, 3.628584, 0.394526]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("elan", options, scale=scale), 16, 32) == pytest.approx(numbers, abs=2e-5)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"head.0.weight": torch.zeros(1)}) is None


def test_fifths_of_the_channels_are_moved():
    layer, x = ShiftedConv(5, 5), torch.rand(1, 5, 6, 7)
    with torch.no_grad():
        layer.conv1x1.weight.copy_(torch.eye(5).view(5, 5, 1, 1))
        layer.conv1x1.bias.zero_()
        y = layer(x)
    inner = (slice(1, -1), slice(1, -1))
    for place, step in enumerate([(0, -1), (0, 1), (-1, 0), (1, 0), (0, 0)]):
        assert torch.equal(y[0, place][inner], x[0, place].roll(step, (0, 1))[inner])


def test_windows_must_divide_the_sides():
    with pytest.raises(ValueError, match="must divide 16"):
        ARCHS.build("elan", {"window_sizes": [4, 8, 12]}, scale=2)
