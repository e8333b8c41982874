import pytest
import torch

from traiNNer.errors import ConfigError
from traiNNer.utils.dists_network import DistsNetwork, backbone_shapes, dists_network, random_dists_network

# Of the package DISTS_pytorch 0.1, `DISTS(load_weights=False)` with the random backbone of `random_dists_network` and
# alpha = beta = 1, for 0.5 t against t; made on 2026-11-29 with torch 2.14.
PACKAGE = 0.2417961


@pytest.fixture(scope="module")
def network():
    return random_dists_network()


def target():
    return torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def state_of(network):
    state = {name: value for name, value in network.named_buffers() if name.startswith("features")}
    return {name.replace("_", "."): value for name, value in state.items()}


def shares():
    return dict.fromkeys(("alpha", "beta"), torch.ones(1, 1475, 1, 1))


def test_agrees_with_the_package(network):
    assert network(0.5 * target(), target()).item() == pytest.approx(PACKAGE, abs=2e-6)
    assert network(target(), target()).item() == pytest.approx(0, abs=1e-6)


def test_names_are_those_of_torchvision():
    from torchvision.models import vgg16

    with torch.device("meta"):
        theirs = {name: tuple(value.shape) for name, value in vgg16().state_dict().items() if "features" in name}
    assert backbone_shapes() == theirs


def test_shares_weigh_channels(network):
    only_pixels = shares()
    only_pixels["alpha"] = torch.zeros(1, 1475, 1, 1)
    only_pixels["beta"] = torch.zeros(1, 1475, 1, 1)
    only_pixels["alpha"][:, :3] = 5.0
    mean = target().mean((2, 3))
    expected = 1 - (mean**2 / (1.25 * mean**2)).mean()  # 2 * 0.5 m² of (0.25 + 1) m²
    found = DistsNetwork(state_of(network), only_pixels)(0.5 * target(), target())
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)


def test_images_that_are_too_small(network):
    assert network(target()[..., :16, :16], target()[..., :16, :16]).isfinite()
    with pytest.raises(ValueError, match="at least 16 pixels"):
        network(target()[..., :15, :], target()[..., :15, :])


def test_the_package_is_found_without_importing_it(tmp_path, monkeypatch, network):
    package = tmp_path / "DISTS_pytorch"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError")
    torch.save(shares(), package / "weights.pt")
    torch.save(state_of(network), tmp_path / "vgg16.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = dists_network("test", str(tmp_path / "vgg16.pth"))
    assert torch.equal(found(0.5 * target(), target()), network(0.5 * target(), target()))
    torch.save({"alpha": torch.ones(3)}, package / "weights.pt")
    with pytest.raises(ConfigError, match=r"does not fit DISTS: 'alpha' has shape \(3,\)"):
        dists_network("test", str(tmp_path / "vgg16.pth"))


def test_message_without_the_package(monkeypatch):
    monkeypatch.setattr("traiNNer.utils.dists_network.find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=r"(?s)DISTSLoss needs .*pip install dists-pytorch.*dists_weights: path"
    ) as caught:
        dists_network("DISTSLoss")
    assert caught.value.exit_code == 2
