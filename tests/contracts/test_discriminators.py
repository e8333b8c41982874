"""The contract of every registered discriminator."""

import pytest
import torch

import traiNNer.archs  # noqa: F401
from traiNNer.losses.gan import squared_gradient
from traiNNer.registry import ARCHS, Component

SMALL = {
    "dunet": {"num_feat": 4},
    "metagan2": {"dims": (8, 16), "blocks": (1, 1)},
    "metagan3": {"dims": (8, 16, 16), "blocks": (1, 1)},
    "multiscalepatchgandiscriminatorsn": {"ndf": 4, "num_d": 2},
    "patchgandiscriminatorsn": {"ndf": 4},
    "unetdiscriminatorsn": {"num_feat": 4},
    "vggstylediscriminator": {"num_feat": 4, "input_size": 64},
}
EVERY = [component for component in ARCHS if component.traits.discriminates]
by_name = pytest.mark.parametrize("component", EVERY, ids=lambda component: component.name)


def build(component: Component):
    torch.manual_seed(0)
    options = {key: list(v) if isinstance(v, tuple) else v for key, v in SMALL[component.name].items()}
    return component.build(options)


def images(component: Component, count: int = 3):
    side = 64 if component.name.startswith("vgg") else component.traits.fitting(40)
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_all_are_here():
    assert {component.name for component in EVERY} == set(SMALL)


@by_name
def test_defaults_build(component):
    with torch.device("meta"):
        network = component.build({})
    assert sum(parameter.numel() for parameter in network.parameters()) > 500_000


@by_name
def test_every_image_is_judged_and_every_parameter_learns(component):
    network, x = build(component), images(component)
    logits = network(x)
    assert len(logits) == len(x)
    logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert sum(bool(p.grad.abs().max() > 0) for p in network.parameters()) > 0.8 * len(list(network.parameters()))


@by_name
def test_judges_depend_on_every_pixel(component):
    network, x = build(component).eval(), images(component)
    gradient = torch.autograd.grad(network(x.requires_grad_()).sum(), x)[0]
    # The outermost pixels may fall off the last stride.
    assert (gradient[..., 1:-1, 1:-1].abs().sum(1) > 0).float().mean() > 0.9


@by_name
def test_features_are_those_of_the_same_pass(component):
    network, x = build(component).eval(), images(component)
    found = []
    torch.testing.assert_close(network(x, found), network(x), rtol=0, atol=0)
    assert len(found) >= 2
    assert all(len(one) == len(x) and one.requires_grad for one in found)


@by_name
def test_gradient_penalty_reaches_the_weights(component):
    network, x = build(component), images(component).requires_grad_()
    penalty = squared_gradient(network(x), x)
    penalty.backward()
    assert penalty > 0
    assert any(p.grad is not None and bool(p.grad.abs().max() > 0) for p in network.parameters())


@by_name
def test_declared_precisions_and_layouts_hold(component):
    network, x = build(component).eval(), images(component)
    reference = network(x)
    atol = 0.05 * reference.abs().max().item()
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            torch.testing.assert_close(network(x).float(), reference, rtol=0, atol=atol)
    other = build(component).eval().to(memory_format=torch.channels_last)
    torch.testing.assert_close(other(x.to(memory_format=torch.channels_last)), reference, rtol=0, atol=1e-5)


@by_name
def test_least_size_is_enough(component):
    if component.name.startswith("vgg"):
        pytest.skip("takes one size only")
    side = component.traits.fitting(1)
    assert torch.isfinite(build(component).eval()(torch.rand(1, 3, side, side + 1))).all()


@by_name
def test_state_round_trip_keeps_the_function(component):
    network, x = build(component), images(component)
    network(x)
    torch.manual_seed(5)
    other = component.build({key: list(v) if isinstance(v, tuple) else v for key, v in SMALL[component.name].items()})
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(x), network.eval()(x), rtol=0, atol=0)
