"""The contract of every registered arch that upscales; those that judge are in test_discriminators.py."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import traiNNer.archs  # noqa: F401
from traiNNer.registry import ARCHS, Component

LARGE = 5_000_000
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def scales_of(component: Component) -> tuple[int, ...]:
    return component.traits.scales or (2, 3, 4)


def count(component: Component) -> int:
    with torch.device("meta"):
        network = component.build({}, scale=scales_of(component)[0])
    return sum(parameter.numel() for parameter in network.parameters())


EVERY = [component for component in ARCHS if not component.traits.discriminates]
SMALL = [component for component in EVERY if count(component) < LARGE]
pytestmark = pytest.mark.filterwarnings("ignore:.*nothing was tracked")


def by_name(components: list[Component]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("component", components, ids=lambda component: component.name)


def build(component: Component, scale: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    scales = scales_of(component)
    return component.build({}, scale=scale or (2 if 2 in scales else scales[0]))


def images(component: Component, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, component.traits.fitting(12), component.traits.fitting(8))


@by_name(EVERY)
def test_defaults_build_and_declare_traits(component):
    assert count(component) > 0
    assert "scale" in component.context


@by_name(SMALL)
def test_output_is_scaled(component):
    x = images(component, 1)
    for scale in scales_of(component):
        with torch.no_grad():
            output = build(component, scale).eval()(x)
        assert output.shape == (1, 3, scale * x.shape[2], scale * x.shape[3])


@by_name(EVERY)
@pytest.mark.parametrize("precision", DTYPES)
def test_declared_precisions_hold(component, precision):
    if precision not in component.traits.precisions:
        return  # not declared: the runtime never asks for it
    x, network = images(component, 1), build(component).eval()
    with torch.no_grad():
        reference = network(x)
        with torch.autocast("cpu", DTYPES[precision], enabled=precision != "fp32"):
            output = network(x)
    # An untrained deep network's output is far larger than an image, and so is what rounding does to it.
    torch.testing.assert_close(output.float(), reference, rtol=0, atol=0.02 * reference.abs().max().item())


@by_name(SMALL)
def test_declared_precisions_hold_for_weights(component):
    x = images(component)
    reference = build(component).eval()(x)
    assert component.traits.precisions
    for name in component.traits.precisions:
        with torch.no_grad():
            output = build(component).eval().to(DTYPES[name])(x.to(DTYPES[name]))
        assert output.dtype == DTYPES[name]
        torch.testing.assert_close(output.float(), reference, rtol=0, atol=0.05)


@by_name(SMALL)
def test_sizes_are_the_least_that_work(component):
    traits = component.traits
    x = torch.rand(1, 3, traits.fitting(1), traits.fitting(1) + traits.size_multiple)
    with torch.no_grad():
        assert build(component, 2 if 2 in scales_of(component) else None).eval()(x).shape[0] == 1


@by_name([component for component in SMALL if component.traits.release])
def test_released_form_computes_the_same(component):
    x, network = images(component, 1), build(component)
    network(images(component))
    released = component.traits.release(network.eval())
    with torch.no_grad():
        torch.testing.assert_close(released(x), network(x), rtol=0, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in released.parameters())


@by_name([component for component in EVERY if "nhwc" in component.traits.layouts])
def test_both_layouts_give_one_result(component):
    x, network = images(component, 1), build(component)
    output = network(x)
    gradients = torch.autograd.grad(output.square().sum(), [p for p in network.parameters() if p.requires_grad])
    other = build(component).to(memory_format=torch.channels_last)
    again = other(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(again, output, rtol=0, atol=1e-4)
    same = torch.autograd.grad(again.square().sum(), [p for p in other.parameters() if p.requires_grad])
    largest = max(gradient.abs().max() for gradient in gradients)
    for ours, theirs in zip(same, gradients, strict=True):
        torch.testing.assert_close(ours / largest, theirs / largest, rtol=0, atol=1e-4)


@by_name(SMALL)
def test_state_round_trip_keeps_the_function(component):
    x, network = images(component), build(component)
    network(x)
    other = build(component)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(x), network.eval()(x), rtol=0, atol=0)


@by_name(SMALL)
def test_gradient_step_lowers_the_loss(component):
    x, network = images(component), build(component)
    target = torch.rand_like(network(x).detach())
    trained = [p for p in network.parameters() if p.requires_grad]
    before = F.mse_loss(network(x), target)
    before.backward()
    # By as much as lowers the loss by 1 % to first order, whatever the network's scale.
    square = sum(p.grad.square().sum() for p in trained if p.grad is not None)
    torch.optim.SGD(trained, (0.01 * before / square).item()).step()
    assert F.mse_loss(network(x), target) < 0.999 * before.detach()
