"""Options, scale and generation inferred from a bare state dict."""

import pytest
import torch

from traiNNer.archs.paragonsr2.network import ParagonSR2
from traiNNer.archs.paragonsr2.state import VARIANTS
from traiNNer.registry import ARCHS

TRAITS = ARCHS["paragonsr2_nano"].traits


def earlier_generation() -> tuple[ParagonSR2, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    network = ParagonSR2(2, 24, 2, 2, 1.5, 9, hr_blocks=0, upsampler_alpha=1.0)
    taps = torch.tensor([-1.0, 0, 9, 16, 9, 0, -1]) / 32
    network.magic_upsampler.sharpen.conv_h.weight.data[:] = taps
    network(torch.rand(2, 3, 8, 8))
    state = network.state_dict()
    return network.eval(), {name.replace("hr_conv_in.", "upsampler."): tensor for name, tensor in state.items()}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_recognized(name):
    with torch.device("meta"):
        state = ARCHS.build(name, {"in_chans": 1}, scale=2).state_dict()
    assert TRAITS.infer_options(state) == {"type": name, "in_chans": 1, "scale": None}


@pytest.mark.parametrize("expansion", [2.0, 1.1, 1.7])
def test_other_sizes_rebuild_to_the_same_tensors(expansion):
    network = ParagonSR2(3, 20, 2, 1, expansion, 7, hr_blocks=2, use_attention=True, window_size=5)
    found = TRAITS.infer_options(network.state_dict())
    assert found["type"] == "paragonsr2"
    assert found["scale"] is None
    options = {name: value for name, value in found.items() if name not in ("type", "scale")}
    assert options["window_size"] == 5
    ARCHS.build(found["type"], options, scale=3).load_state_dict(network.state_dict())


def test_every_hidden_size_survives_the_division():
    for channels in range(8, 130):
        for hidden in range(1, 3 * channels, 7):
            state = {
                "conv_in.weight": torch.empty(channels, 3, 3, 3, device="meta"),
                "conv_fuse.weight": torch.empty(channels, channels, 3, 3, device="meta"),
                "body.0.blocks.0.context.dwconv_w.weight": torch.empty(1, 1, 1, 9, device="meta"),
                "body.0.blocks.0.transformer.project_in.weight": torch.empty(hidden, channels, 1, 1, device="meta"),
            }
            found = TRAITS.infer_options(state)
            assert int(channels * found["ffn_expansion"]) == hidden


def test_old_weights_load_with_a_notice():
    network, state = earlier_generation()
    found = TRAITS.infer_options(state)
    assert (found["scale"], found["upsampler_alpha"], found["hr_blocks"]) == (2, 1.0, 0)
    adapted, notes = TRAITS.adapt_state(state)
    assert len(notes) == 1
    assert "upsampler" in notes[0]
    options = {name: value for name, value in found.items() if name not in ("type", "scale")}
    rebuilt = ARCHS.build(found["type"], options, scale=found["scale"]).eval()
    rebuilt.load_state_dict(adapted)
    x = torch.rand(1, 3, 9, 8)
    torch.testing.assert_close(rebuilt(x), network(x), rtol=0, atol=0)


def test_other_families_are_unchanged():
    state = {"conv_in.weight": torch.zeros(8, 3, 3, 3), "upsampler.weight": torch.zeros(8, 8, 3, 3)}
    assert TRAITS.infer_options(state) is None
    adapted, notes = TRAITS.adapt_state(state)
    assert set(adapted) == set(state)
    assert notes == []
