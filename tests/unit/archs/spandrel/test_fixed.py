"""What hinders training in classes of spandrel, beside the classes that put it right."""

import pytest
import torch
from archkit import TINY
from spandrel.architectures import DRCT, PLKSR, RCAN, SPAN, SeemoRe

from traiNNer.archs.spandrel import fixed
from traiNNer.registry import ARCHS

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")


def pair(name: str, original: type, **options):
    """Return our network and the original of the same weights, both in evaluation mode."""
    ours = ARCHS.build(name, TINY[name] | options, scale=2).eval()
    theirs = original(**ours.hyperparameters).eval()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_rcan_leaves_its_input_and_its_mean_layers_alone():
    ours, theirs = pair("rcan", RCAN.RCAN, norm=True)
    x = torch.rand(1, 3, 8, 8)
    before = x.clone()
    output = ours(x)
    assert torch.equal(x, before)
    assert not [name for name, part in ours.named_parameters() if "_mean" in name and part.requires_grad]
    assert torch.equal(theirs(x), output)
    assert torch.equal(x, before * 255)  # the original's fault, without which ours would be needless


@pytest.mark.parametrize(("name", "original"), [("plksr", PLKSR.PLKSR), ("realplksr", PLKSR.RealPLKSR)])
def test_plksr_is_differentiable_in_evaluation(name, original):
    ours, theirs = pair(name, original)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
    ours(x.requires_grad_()).sum().backward()
    assert x.grad.abs().max() > 0
    with pytest.raises(RuntimeError, match="inplace"):
        theirs(x).sum().backward()
    assert not ours.training
    assert not theirs.load_state_dict(ours.train().state_dict()).missing_keys


def test_seemore_routes_each_image_of_a_batch():
    ours, theirs = pair("seemore_t", SeemoRe.SeemoRe)
    x = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        alone = torch.cat([theirs(image) for image in x.split(1)])
        assert torch.equal(ours(x), alone)
        assert not torch.allclose(ours(x), _first_routes_all(theirs, x))


def _first_routes_all(network, x):
    try:
        return network(x)
    except (RuntimeError, TypeError, ValueError):
        return torch.full((3, 3, 32, 32), torch.nan)


def test_drct_pads_odd_sizes():
    ours, theirs = pair("drct", DRCT.DRCT)
    x = torch.rand(1, 3, 17, 22)
    with torch.no_grad():
        assert ours(x).shape == (1, 3, 34, 44)
        fitting = torch.rand(1, 3, 16, 32)
        assert torch.equal(ours(fitting), theirs(fitting))
        with pytest.raises((RuntimeError, AssertionError)):
            theirs(x)


def test_large_kernels_stay_out_of_place_after_every_switch():
    network = ARCHS.build("realplksr", TINY["realplksr"], scale=2)
    assert isinstance(network, fixed.RealPLKSR)
    for mode in (True, False, True):
        network.train(mode)
        assert {module.training for name, module in network.named_modules() if name.endswith(".lk")} == {True}
        assert network.training is mode


def test_span_trains_the_one_convolution_that_four_amount_to():
    torch.manual_seed(0)
    ours, theirs = (network.double().train() for network in pair("span", SPAN.SPAN))
    assert any(isinstance(part, fixed.Conv3XC) for part in ours.modules())
    assert not any(isinstance(part, fixed.Conv3XC) for part in theirs.modules())
    x, weights = torch.rand(2, 3, 9, 8).double(), torch.randn(2, 3, 18, 16).double()
    trained = [name for name, parameter in ours.named_parameters() if parameter.requires_grad]
    outputs, gradients = [], []
    for network in (ours, theirs):
        outputs.append(network(x))
        parameters = [network.get_parameter(name) for name in trained]
        gradients.append(torch.autograd.grad((outputs[-1] * weights).sum(), parameters))
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-10)
    for name, one, other in zip(trained, *gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=name)


def test_networks_without_triple_convolutions_are_not_taken_for_span():
    with pytest.raises(LookupError, match="Sequential has no triple convolutions"):
        fixed.train_as_one(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3)))
