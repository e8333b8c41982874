"""spandrel opens ParagonSR2 once it was told how."""

import pytest
import torch
from safetensors.torch import save_file
from spandrel import MAIN_REGISTRY, ModelLoader, UnsupportedModelError

from traiNNer.registry import ARCHS
from traiNNer.spandrel import ParagonSR2Architecture, install


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(MAIN_REGISTRY, "_architectures", list(MAIN_REGISTRY._architectures))
    monkeypatch.setattr(MAIN_REGISTRY, "_ordered", list(MAIN_REGISTRY._ordered))
    monkeypatch.setattr(MAIN_REGISTRY, "_by_id", dict(MAIN_REGISTRY._by_id))


def trained(scale=2):
    torch.manual_seed(0)
    network = ARCHS.build("paragonsr2_nano", {"num_feat": 8}, scale=scale)
    network.train()(torch.rand(2, 3, 8, 8))
    return network.eval()


def test_saved_file_opens_with_equal_output_after_installing(tmp_path):
    network, path = trained(), tmp_path / "net.safetensors"
    save_file(network.state_dict(), path)
    with pytest.raises(UnsupportedModelError):
        ModelLoader().load_from_file(path)
    install()
    install()  # the second time does nothing
    found = ModelLoader().load_from_file(path)
    assert (found.architecture.id, found.scale, found.tags[-1]) == ("ParagonSR2", 2, "8nf")
    x = torch.rand(1, 3, 9, 14)
    with torch.no_grad():
        assert torch.equal(found.model(x), network(x))


def test_scale_that_no_tensor_records_is_given():
    network = trained(4)
    found = ParagonSR2Architecture(scale=4).load(network.state_dict())
    assert found.scale == 4
    assert found.model(torch.rand(1, 3, 8, 8)).shape == (1, 3, 32, 32)


def test_earlier_generation_opens_as_well():
    names = {"hr_conv_in.weight": "upsampler.weight", "hr_conv_in.bias": "upsampler.bias"}
    state = {names.get(name, name): tensor for name, tensor in trained().state_dict().items()}
    assert ParagonSR2Architecture().load(state).model.magic_upsampler.alpha == 1


def test_damaged_shapes_are_unsupported():
    state = trained().state_dict() | {"conv_in.weight": torch.zeros(8)}
    with pytest.raises((UnsupportedModelError, RuntimeError)):
        ParagonSR2Architecture().load(state)
