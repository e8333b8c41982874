"""spandrel opens our archs once the bridge is installed."""

import pytest
import torch
from archkit import TINY, upscalers
from safetensors.torch import save_file
from spandrel import MAIN_REGISTRY, ModelLoader, UnsupportedModelError

from traiNNer.registry import ARCHS
from traiNNer.spandrel import OWN, OwnArchitecture, install


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(MAIN_REGISTRY, "_architectures", list(MAIN_REGISTRY._architectures))
    monkeypatch.setattr(MAIN_REGISTRY, "_ordered", list(MAIN_REGISTRY._ordered))
    monkeypatch.setattr(MAIN_REGISTRY, "_by_id", dict(MAIN_REGISTRY._by_id))


def trained(name, scale=2):
    torch.manual_seed(0)
    network = ARCHS.build(name, TINY[name], scale=scale)
    side = ARCHS[name].traits.fitting(8)
    network.train()(torch.rand(2, 3, side, side))
    return network.eval()


@pytest.mark.parametrize(("identifier", "name"), OWN.items())
def test_saved_file_opens_with_equal_output_after_installing(tmp_path, identifier, name):
    network, path = trained(name), tmp_path / "net.safetensors"
    save_file(network.state_dict(), path)
    with pytest.raises((UnsupportedModelError, RuntimeError)):  # the latter where spandrel takes it for its own
        ModelLoader().load_from_file(path)
    install()
    count = len(MAIN_REGISTRY)
    install()
    assert len(MAIN_REGISTRY) == count
    found = ModelLoader().load_from_file(path)
    assert (found.architecture.id, found.scale, found.tags) == (identifier, 2, [name])
    fitting = ARCHS[name].traits.fitting
    assert found.size_requirements.check(fitting(9), fitting(14))
    x = torch.rand(1, 3, fitting(9), fitting(14))
    with torch.no_grad():
        assert torch.equal(found.model.eval()(x), network(x))


def test_every_arch_that_spandrel_lacks_is_installed():
    images = [part for part in upscalers() if not part.traits.frames_option]  # spandrel has none for clips
    lacking = {part.name for part in images if not part.traits.opens_as and not part.traits.family}
    assert {name for name in lacking if ARCHS[name].builder.__module__.startswith("traiNNer")} == set(OWN.values())


def test_scale_that_no_tensor_records_is_given():
    found = OwnArchitecture("ParagonSR2", "paragonsr2", scale=4).load(trained("paragonsr2", 4).state_dict())
    assert found.scale == 4
    assert found.model(torch.rand(1, 3, 8, 8)).shape == (1, 3, 32, 32)


def test_earlier_generation_opens_as_well():
    names = {"hr_conv_in.weight": "upsampler.weight", "hr_conv_in.bias": "upsampler.bias"}
    state = {names.get(name, name): tensor for name, tensor in trained("paragonsr2").state_dict().items()}
    assert OwnArchitecture("ParagonSR2", "paragonsr2").load(state).model.magic_upsampler.alpha == 1


def test_damaged_shapes_are_unsupported():
    state = trained("man").state_dict() | {"head.weight": torch.zeros(8)}
    with pytest.raises(UnsupportedModelError):
        OwnArchitecture("MAN", "man").load(state)
