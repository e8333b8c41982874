import warnings
from urllib.error import URLError

import numpy as np
import pytest
import torch

from traiNNer.errors import ConfigError
from traiNNer.metrics.learned import LPIPS


def backbone_state():
    """Random weights in the shapes and under the names of torchvision's alexnet, without its large classifier."""
    from torchvision.models import alexnet

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in alexnet().state_dict().items() if name.startswith("features")}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "alexnet.pth"
    torch.save(backbone_state(), path)
    return path


@pytest.fixture(scope="module")
def metric(weights):
    before = torch.get_rng_state()
    built = LPIPS(scale=2, weights=str(weights))
    assert torch.equal(torch.get_rng_state(), before), "building it moved the global generator"
    return built


def images(height=68, width=72):
    generator = np.random.default_rng(0)
    return (generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(2))


def test_agrees_with_the_package_used_directly(metric, monkeypatch):
    import lpips
    from lpips import pretrained_networks
    from torch import nn

    layers = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1)]
    layers += [nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)]
    model = nn.Module()
    model.features = nn.Sequential(*layers)
    model.load_state_dict(backbone_state())
    monkeypatch.setattr(pretrained_networks.tv, "alexnet", lambda pretrained: model)
    reference = lpips.LPIPS(net="alex", verbose=False)
    output, target = images()
    tensors = [
        torch.tensor(x[2:-2, 2:-2].transpose(2, 0, 1)[None] / 255, dtype=torch.float32) for x in (output, target)
    ]
    with torch.no_grad():
        expected = reference(*tensors, normalize=True).item()
    assert expected > 0.01
    assert metric(output, target) == pytest.approx(expected, rel=1e-5)


def test_equal_images_are_at_distance_zero(metric):
    output, _ = images()
    assert metric(output, output) == 0
    assert metric.direction == "lower"


def test_build_prints_nothing(weights, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LPIPS(scale=2, weights=str(weights))
    assert capsys.readouterr() == ("", "")


def test_smallest_image(metric):
    output, target = images(36, 36)
    assert metric(output, target) > 0
    with pytest.raises(ValueError, match="a side of 32 pixels inside crop_border, not 32x31"):
        metric(output[:-1], target[:-1])


def test_weights_of_another_network_are_refused(tmp_path):
    state = backbone_state()
    state["features.3.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"does not fit net 'alex': 'features\.3\.weight' has shape \(1,\)"):
        LPIPS(scale=2, weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize(("net", "name"), [("alex", "alexnet-owt-7be5be79.pth"), ("vgg", "vgg16-397923af.pth")])
def test_offline_without_the_file(tmp_path, monkeypatch, net, name):
    def fail(*_, **__):
        raise URLError("offline")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", fail)
    with pytest.raises(ConfigError) as caught:
        LPIPS(scale=2, net=net)
    assert caught.value.exit_code == 2
    assert all(text in str(caught.value) for text in (name, str(tmp_path / "checkpoints"), "weights: path"))
