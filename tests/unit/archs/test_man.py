"""MAN against published sizes, and numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.man import infer_options
from traiNNer.registry import ARCHS
from traiNNer.utils.meta import parameter_count, shapes_only


def test_output_is_that_of_the_original():
    network = ARCHS.build("man", {"n_resblocks": 2, "n_resgroups": 2, "n_feats": 6}, scale=2)
    assert probe(network) == pytest.approx([0.50484, 0.207654, 0.675182], abs=2e-6)


@pytest.mark.parametrize(
    ("name", "scale", "published"), [("man", 4, "8.713M"), ("man_light", 4, "0.843M"), ("man_tiny", 2, "0.134M")]
)
def test_parameters_are_as_many_as_published(name, scale, published):
    with shapes_only():
        network = ARCHS.build(name, scale=scale)
    assert f"{parameter_count(network) / 1e6:.3f}M" == published


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_options_are_read_from_the_weights(scale):
    assert infer_options(ARCHS.build("man_tiny", scale=scale).state_dict()) == {
        "type": "man_tiny", "n_resblocks": 5, "n_resgroups": 1, "n_feats": 48, "scale": scale
    }  # fmt: skip
    found = infer_options(ARCHS.build("man_tiny", {"n_feats": 6}, scale=scale).state_dict())
    assert (found["type"], found["n_feats"]) == ("man", 6)
    assert infer_options({"head.weight": torch.zeros(1)}) is None


def test_channels_that_cannot_be_split_are_refused():
    with pytest.raises(ValueError, match="multiple of 3; nearest: 48, 51"):
        ARCHS.build("man", {"n_feats": 50}, scale=2)
