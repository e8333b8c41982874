"""Computing features twice changes no gradient, and happens only where they are needed twice."""

import pytest
import torch
from archkit import TINY
from torch import nn

from traiNNer.archs.spandrel.recompute import recompute
from traiNNer.registry import ARCHS

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")
FLAGS = {
    "dat": "use_chk",
    "hat": "use_checkpoint",
    "rgt": "use_chk",
    "swin2sr": "use_checkpoint",
    "swinir": "use_checkpoint",
}


def built(name, **options):
    torch.manual_seed(0)
    return ARCHS[name].build(TINY[name] | options, scale=2)


def gradients(network):
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network(images).square().mean().backward(inputs=parameters)  # as a training step does
    return [parameter.grad for parameter in parameters]


@pytest.mark.parametrize("name", FLAGS)
def test_gradients_are_those_of_features_that_are_kept(name):
    plain, twice = built(name), built(name, **{FLAGS[name]: True})
    assert plain.state_dict().keys() == twice.state_dict().keys()
    calls = []
    block = next(module for path, module in twice.named_modules() if path.endswith("blocks.0"))
    block.get_submodule("norm1").register_forward_hook(lambda *_: calls.append(1))
    expected, found = gradients(plain), gradients(twice)
    assert len(calls) == 2
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        twice.eval()(torch.rand(1, 3, 16, 16))
    assert len(calls) == 3


def test_network_without_blocks_is_an_error():
    network = nn.Sequential(nn.Conv2d(3, 3, 3))
    assert recompute(network, wanted=False) is network
    with pytest.raises(LookupError, match="Sequential has no blocks"):
        recompute(network)
