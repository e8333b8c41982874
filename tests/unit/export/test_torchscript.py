import pytest
import torch
from torch import nn
from upscalekit import write_weights

from traiNNer.errors import NotExported
from traiNNer.export.source import open_source
from traiNNer.export.torchscript import write_torchscript

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")


def test_file_is_loaded_by_torch_alone(tmp_path):
    source = open_source(write_weights(tmp_path))
    agreement = write_torchscript(source, tmp_path / "x.pt")
    images = torch.rand(1, 3, 11, 6)
    loaded = torch.jit.load(tmp_path / "x.pt")
    torch.testing.assert_close(loaded(images), source.upscaled(images))
    assert agreement.largest < 1e-6


def test_router_is_not_traced(tmp_path):
    class Router(nn.Module):
        def forward(self, x):
            return nn.functional.interpolate(x if x.mean() > 0.5 else 1 - x, scale_factor=2)

    source = open_source(write_weights(tmp_path))
    object.__setattr__(source, "released", Router())
    with pytest.raises(NotExported, match="the network chooses by the values of an image what it computes"):
        write_torchscript(source, tmp_path / "x.pt")


def test_network_that_cannot_be_traced_is_told(tmp_path, monkeypatch):
    class Untraceable(nn.Module):
        def forward(self, x):
            if torch.jit.is_tracing():
                raise RuntimeError("not with a tracer\nadvice")
            return nn.functional.interpolate(x, scale_factor=2)

    source = open_source(write_weights(tmp_path))
    object.__setattr__(source, "released", Untraceable())
    with pytest.raises(NotExported, match=r"compact cannot be written as TorchScript \(.*"):
        write_torchscript(source, tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()
