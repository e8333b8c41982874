import numpy as np
import pytest
import torch
from torch import nn
from upscalekit import tiny_network, write_weights

from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.network import open_network, ready


@pytest.fixture(scope="module")
def runtime():
    return open_runtime(use_cpu=True)


def test_own_file_says_scale_and_arch(tmp_path, runtime):
    network = open_network(write_weights(tmp_path), runtime)
    x = torch.rand(1, 3, 8, 9)
    with torch.inference_mode():
        assert torch.equal(network.call(x), tiny_network()(x))
    assert (network.scale, network.name) == (2, "tiny.safetensors")
    assert network.traits == ARCHS["compact"].traits


def test_file_of_others_is_known_by_its_tensors(tmp_path, runtime):
    torch.save({"params": tiny_network().state_dict()}, tmp_path / "x.pth")
    assert open_network(tmp_path / "x.pth", runtime).scale == 2


def test_network_that_only_spandrel_knows_is_opened(tmp_path, runtime):
    from spandrel.architectures.SAFMN import SAFMN

    theirs = SAFMN(dim=8, n_blocks=1, ffn_scale=2.0, upscaling_factor=2).eval()
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    network = open_network(tmp_path / "x.pth", runtime)
    x = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(network.call(x), theirs(x))
    assert network.scale == 2


def test_unknown_weights_are_refused(tmp_path, runtime):
    torch.save({"a": torch.rand(3)}, tmp_path / "x.pth")
    with pytest.raises(ConfigError, match="does not say which arch it holds"):
        open_network(tmp_path / "x.pth", runtime)


def test_missing_scale_is_asked_for(tmp_path, runtime):
    network = ARCHS.build("paragonsr2", {"num_feat": 8, "num_groups": 1, "num_blocks": 1}, scale=3, seed=0)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    with pytest.raises(ConfigError, match="does not record its scale: add --scale"):
        open_network(tmp_path / "x.pth", runtime)


class Windowed(nn.Module):
    """Takes multiples of 8 alone."""

    def forward(self, x):
        return nn.functional.pixel_unshuffle(x, 8).mean() + nn.functional.interpolate(x, scale_factor=3)


def test_sizes_of_a_bare_module_are_found_by_trying(runtime):
    network = ready(Windowed(), runtime)
    assert (network.scale, network.traits.size_multiple) == (3, 8)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Conv2d(1, 1, 3, padding=1), "Conv2d does not upscale RGB images of any size: Given groups=1"),
        (nn.Conv2d(3, 1, 3, padding=1), r"came out as \(1, 1, 65, 66\)"),
        (nn.Conv2d(3, 3, 3), r"came out as \(1, 3, 63, 64\)"),
    ],
)
def test_module_that_does_not_upscale_is_refused(runtime, module, said):
    with pytest.raises(ConfigError, match=said):
        ready(module, runtime)


def test_scale_given_for_a_file_that_records_another_is_refused(tmp_path, runtime):
    with pytest.raises(ConfigError, match="is of scale 2, not 4: leave --scale out"):
        open_network(write_weights(tmp_path), runtime, scale=4)


def test_ready_networks_leave_no_trace_in_random_numbers(runtime):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    ready(nn.Sequential(nn.Dropout(), nn.Upsample(scale_factor=2)), runtime).call(torch.rand(1, 3, 4, 4))
    torch.manual_seed(3)
    assert np.array_equal(before, torch.random.get_rng_state())
