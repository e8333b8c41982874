"""A bare state dict is named as an option file names it."""

import pytest
import torch
from archkit import TINY

from traiNNer.archs.spandrel.detect import detect
from traiNNer.registry import ARCHS

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")


def state(name, scale=2, **options):
    return ARCHS.build(name, options, scale=scale).state_dict()


@pytest.mark.parametrize(
    "name", ["span", "span_s", "safmn", "seemore_t", "mosr_t", "realplksr_tiny", "plksr_tiny", "moesr"]
)
def test_weights_of_an_arch_as_it_comes_have_its_name(name):
    assert detect(state(name))["type"] == name


def test_other_sizes_are_the_family_with_options():
    found = detect(state("span_s", 4, feature_channels=8, norm=True))
    assert found == {
        "type": "span", "num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8, "norm": True, "scale": 4
    }  # fmt: skip


def test_what_spandrel_calls_otherwise_is_translated():
    folded = detect(state("esrgan", **TINY["esrgan"]))
    assert (folded["in_nc"], folded["use_pixel_unshuffle"], folded["scale"]) == (3, True, 2)
    whole = detect(state("esrgan", use_pixel_unshuffle=False, **TINY["esrgan"]))
    assert (whole["use_pixel_unshuffle"], whole["scale"]) == (False, 2)
    assert detect(state("mosr", **TINY["mosr"]))["upsampler"] == "pixelshuffle"


def test_ratio_is_as_it_was_meant():
    assert detect(state("moesr2", **TINY["moesr2"] | {"dim": 64}))["expansion_factor"] == 8 / 3


@pytest.mark.parametrize("name", ["swinir", "hat", "dat"])
def test_training_options_are_not_made_up(name):
    assert not {"drop_path_rate", "use_chk", "use_checkpoint"} & detect(state(name, **TINY[name])).keys()


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"weight": torch.zeros(3, 3)},
        {"body.0.weight": torch.zeros(4, 3, 3, 3), "body.1.weight": torch.zeros(4, 4, 3, 3)},
    ],
)
def test_what_nobody_knows_is_none(tensors):
    assert detect(tensors) is None


def test_arch_that_is_not_offered_here_is_none():
    from spandrel.architectures.DnCNN import DnCNN

    assert detect(DnCNN(nc=8, nb=3).state_dict()) is None


def test_state_is_left_alone():
    before = state("fdat", **TINY["fdat"])
    names = list(before)
    detect(before)
    assert list(before) == names


def test_size_that_a_file_only_claims_takes_no_memory():
    claimed = {"conv_1.sk.weight": torch.zeros(1).expand(300_000, 3, 1, 1)}  # its network would need terabytes
    assert detect(state("span", feature_channels=8) | claimed) is None
