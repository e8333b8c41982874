"""A new ParagonSR2 begins as its upsampler alone, or as published."""

import pytest
import torch
from torch import nn

from traiNNer import build_network
from traiNNer.archs.paragonsr2.layers import LayerScale
from traiNNer.archs.paragonsr2.network import ParagonSR2
from traiNNer.archs.paragonsr2.upsampler import MagicUpsampler

pytestmark = pytest.mark.filterwarnings("ignore:.*nothing was tracked")


@pytest.mark.parametrize("name", ["nano", "xs", "s", "m"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_identity_start_is_the_upsampler_alone(name, scale):
    torch.manual_seed(0)
    network, x = build_network(f"paragonsr2_{name}", scale=scale), torch.rand(2, 3, 9, 8)
    with torch.no_grad():
        expected = MagicUpsampler(3, scale, 0.5)(x)
        torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(network.eval()(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"use_attention": True}, {"upsampler_alpha": 0.0}, {"in_chans": 1}])
def test_identity_start_with_other_options(options):
    network = ParagonSR2(2, 24, 2, 2, **options)
    channels = options.get("in_chans", 3)
    x = torch.rand(1, channels, 8, 16)
    expected = MagicUpsampler(channels, 2, options.get("upsampler_alpha", 0.5))(x)
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5)


def test_published_start_is_torchs_own_with_small_layer_scales():
    torch.manual_seed(0)
    network = ParagonSR2(2, 16, 1, 2, init="published")
    torch.manual_seed(0)
    torch.testing.assert_close(network.conv_in.weight, nn.Conv2d(3, 16, 3, padding=1).weight, rtol=0, atol=0)
    assert network.conv_out.weight.std() > 0.01
    scales = [module.gamma for module in network.modules() if isinstance(module, LayerScale)]
    assert all(torch.equal(gamma, torch.full_like(gamma, 1e-5)) for gamma in scales)


def test_every_parameter_learns_from_an_identity_start():
    torch.manual_seed(0)
    network, x = ParagonSR2(2, 16, 1, 2), torch.rand(2, 3, 12, 12)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 1e-3, weight_decay=0.0)
    for _ in range(4):
        optimizer.zero_grad()
        (network(x) - torch.rand(2, 3, 24, 24)).square().mean().backward()
        optimizer.step()
    still = [name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])]
    assert [name for name in still if "magic_upsampler" not in name] == []


def test_deep_networks_keep_small_layer_scales():
    def scales(**size):
        network = ParagonSR2(2, 8, **size)
        return {round(m.gamma[0].item(), 8) for m in network.modules() if isinstance(m, LayerScale)}

    assert scales(num_groups=3, num_blocks=6) == {0.1}
    assert scales(num_groups=1, num_blocks=19) == {1e-5}
    assert scales(num_groups=1, num_blocks=2) == {0.1}


def test_weights_decide_whatever_the_start():
    torch.manual_seed(0)
    published, x = ParagonSR2(2, 16, 1, 2, init="published"), torch.rand(1, 3, 9, 8)
    loaded = ParagonSR2(2, 16, 1, 2, init="identity")
    loaded.load_state_dict(published.state_dict())
    published.train()(x)
    loaded.train()(x)
    assert torch.equal(loaded.eval()(x), published.eval()(x))
