import pytest
import torch

from traiNNer.errors import ConfigError
from traiNNer.losses.learned import DISTSLoss, LPIPSLoss
from traiNNer.utils.dists_network import random_dists_network
from traiNNer.utils.lpips_network import random_lpips_network


def pair(side=40):
    return torch.rand(2, 2, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_values_are_those_of_the_networks():
    output, target = pair()
    with pytest.warns(UserWarning, match="LPIPSLoss: pretrained is false"):
        lpips = LPIPSLoss("squeeze", pretrained=False)
    expected = random_lpips_network("squeeze")(2 * output - 1, 2 * target - 1)
    torch.testing.assert_close(lpips(output, target), expected.mean())
    with pytest.warns(UserWarning, match="DISTSLoss: pretrained is false"):
        dists = DISTSLoss(pretrained=False)
    torch.testing.assert_close(dists(output, target), random_dists_network()(output, target).mean())
    assert not dists.state_dict()


def test_images_too_small_for_lpips():
    with pytest.warns(UserWarning, match="random features"):
        loss = LPIPSLoss("squeeze", pretrained=False)
    with pytest.raises(ValueError, match="LPIPSLoss needs images of at least 32 pixels"):
        loss(*pair(31))


@pytest.mark.parametrize("build", [LPIPSLoss, DISTSLoss])
def test_offline(build, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("offline")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", fail)
    monkeypatch.setattr("traiNNer.utils.dists_network._packaged", lambda _: tmp_path / "weights.pt")
    with pytest.raises(ConfigError, match=r"(?s)vgg16-397923af.pth.*weights: path"):
        build()
