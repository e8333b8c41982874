import pytest
import torch

from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement
from traiNNer.utils import lpips_network as module
from traiNNer.utils.lpips_network import lpips_network, random_lpips_network


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_weights_of_torchvision_reach_the_backbone(net, tmp_path):
    from torchvision import models

    with torch.random.fork_rng():
        model = {"alex": models.alexnet, "squeeze": models.squeezenet1_1}[net]()
    state = {name: value.detach() for name, value in model.state_dict().items() if name.startswith("features")}
    torch.save(state, tmp_path / "w.pth")
    network = lpips_network(net, "test", str(tmp_path / "w.pth"))
    mine = {name: value for name, value in network.named_buffers() if name.startswith("net.slice")}
    assert len(mine) == len(state)
    assert all(torch.equal(value, state[f"features.{name.split('.', 2)[2]}"]) for name, value in mine.items())
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=rf"test: .*w.pth does not fit net '{net}'"):
        lpips_network(net, "test", str(tmp_path / "w.pth"))


def test_random_features_are_the_same_every_time():
    before = torch.get_rng_state()
    first, second = random_lpips_network("squeeze"), random_lpips_network("squeeze")
    assert torch.equal(torch.get_rng_state(), before)
    output, target = torch.rand(2, 1, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert first(output, target).item() > 0
    assert torch.equal(first(output, target), second(output, target))
    assert not list(first.parameters())


@pytest.mark.parametrize("build", [lambda: lpips_network("alex", "metric lpips"), lambda: random_lpips_network("alex")])
def test_missing_package_is_named_with_its_command(build, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", Requirement("no_such_package", module.PACKAGE.install))
    with pytest.raises(ConfigError, match=r"needs the package no-such-package.*pip install 'trainner-sr\[lpips\]'"):
        build()
