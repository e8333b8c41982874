"""The contract of every registered arch that upscales: the base of each family tiny, at night all as they come."""

import re

import pytest
import torch
import torch.nn.functional as F
from archkit import Member, each, everyday, upscalers
from safetensors.torch import save_file
from torch import nn

from traiNNer.archs.spandrel.detect import detect
from traiNNer.registry import ARCHS
from traiNNer.utils.upscaling import upscale_image

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MEMBERS = everyday()
OURS = [member for member in MEMBERS if not member.component.traits.opens_as]
FOREIGN = [member for member in MEMBERS if member.component.traits.opens_as]
UNTRAINED = {
    "seemore_t": (r"\.experts\.", "an expert learns from the images that its router sends to it"),
    "craft": (r"\.pos\.", "at the published width it is a layer normalization of one channel, a constant"),
    "dat": (r"\.pos\.", "so it is at the width of dat_light"),
    "rcan": (r"\.conv_du\.", "in some of 200 blocks all four channels of the attention begin below zero"),
}
"""Parameters that are trained but get no gradient, as a pattern, with the reason."""
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*nothing was tracked"),
    pytest.mark.filterwarnings("ignore:torch.meshgrid"),
    pytest.mark.filterwarnings("ignore:'saved_variables'"),
]


@each(MEMBERS)
def test_it_builds_and_declares_traits(member: Member):
    assert "scale" in member.component.context
    assert member.component.traits.license
    assert any(parameter.requires_grad for parameter in member.build().parameters())


@each(MEMBERS)
def test_output_is_scaled(member: Member):
    x = member.images(1)
    for scale in member.scales:
        with torch.no_grad():
            output = member.build(scale).eval()(x)
        assert output.shape == (1, 3, scale * x.shape[-2], scale * x.shape[-1])


@each(MEMBERS)
def test_sizes_are_the_least_that_work(member: Member):
    traits = member.component.traits
    x = member.of_size(1, traits.fitting(1), traits.fitting(1) + traits.size_multiple)
    with torch.no_grad():
        output = member.build().eval()(x)
    assert output.shape[2:] == (member.scale * x.shape[-2], member.scale * x.shape[-1])


@each(MEMBERS)
def test_image_of_any_size_is_validated(member: Member):
    traits, network = member.component.traits, member.build().eval()
    for height, width in ((5, 3), (traits.fitting(1) + 1, traits.fitting(17) + 2)):
        with torch.no_grad():
            output = upscale_image(network, member.of_size(1, height, width), member.scale, traits)
        assert output.shape == (1, 3, member.scale * height, member.scale * width)
        assert output.isfinite().all()


@each(MEMBERS, slow=True)
def test_every_trained_parameter_learns(member: Member):
    network, x = member.build().train(), member.images()
    target = torch.rand_like(network(x).detach())
    trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3)
    silent = set(trained)
    for _ in range(3):
        optimizer.zero_grad()
        F.l1_loss(network(x), target).backward()
        silent -= {name for name in silent if (g := trained[name].grad) is not None and g.abs().max() > 0}
        optimizer.step()
    pattern, _ = UNTRAINED.get(member.component.traits.family or member.component.name, (r"^\b$", ""))
    assert sorted(name for name in silent if not re.search(pattern, name)) == []


@each(MEMBERS)
def test_input_is_left_alone(member: Member):
    network, x = member.build(), member.images()
    before = x.clone()
    network.train()(x)
    with torch.no_grad():
        network.eval()(x)
    assert torch.equal(x, before)


@each(MEMBERS)
def test_evaluation_can_be_differentiated(member: Member):
    x, network = member.images(1).requires_grad_(), member.build().eval()
    network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


@each(MEMBERS)
def test_batch_is_evaluated_image_by_image(member: Member):
    x, network = member.images(3), member.build().eval()
    with torch.no_grad():
        alone = torch.cat([network(image) for image in x.split(1)])
        torch.testing.assert_close(network(x), alone, rtol=1e-4, atol=1e-4)


@each(MEMBERS)
@pytest.mark.parametrize("precision", DTYPES)
def test_declared_precisions_hold(member: Member, precision: str):
    if precision not in member.component.traits.precisions:
        return  # not declared: the runtime never asks for it
    x, network = member.images(1), member.build().eval()
    with torch.no_grad():
        reference = network(x)
        with torch.autocast("cpu", DTYPES[precision], enabled=precision != "fp32"):
            output = network(x)
    # An untrained deep network's output is far larger than an image, and so is what rounding does to it.
    torch.testing.assert_close(output.float(), reference, rtol=0, atol=0.05 * reference.abs().max().item())


@each(OURS)
def test_declared_precisions_hold_for_weights(member: Member):
    x = member.images()
    reference = member.build().eval()(x)
    assert member.component.traits.precisions
    for name in member.component.traits.precisions:
        with torch.no_grad():
            output = member.build().eval().to(DTYPES[name])(x.to(DTYPES[name]))
        assert output.dtype == DTYPES[name]
        atol = 0.05 * max(1.0, reference.abs().max().item())  # as above
        torch.testing.assert_close(output.float(), reference, rtol=0, atol=atol)


@each([member for member in MEMBERS if member.component.traits.release])
def test_released_form_computes_the_same(member: Member):
    x, network = member.images(1), member.build()
    network(member.images())
    released = member.component.traits.release(network.eval())
    with torch.no_grad():
        torch.testing.assert_close(released(x), network(x), rtol=0, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in released.parameters())


@each([member for member in MEMBERS if "nhwc" in member.component.traits.layouts])
def test_both_layouts_give_one_result(member: Member):
    x, network = member.images(2), member.build().train()
    output = network(x)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(output.square().sum(), trained, allow_unused=True)
    other = member.build().to(memory_format=torch.channels_last).train()
    again = other(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x)
    torch.testing.assert_close(again, output, rtol=1e-4, atol=1e-4)
    theirs = [parameter for parameter in other.parameters() if parameter.requires_grad]
    same = torch.autograd.grad(again.square().sum(), theirs, allow_unused=True)
    largest = max(gradient.abs().max() for gradient in gradients if gradient is not None)
    for one, two in zip(same, gradients, strict=True):
        if one is not None or two is not None:
            torch.testing.assert_close(one / largest, two / largest, rtol=0, atol=1e-3)


@each(MEMBERS)
def test_state_round_trip_keeps_the_function(member: Member):
    x, network = member.images(), member.build()
    network(x)
    other = member.build()
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(x), network.eval()(x), rtol=0, atol=0)


@each(FOREIGN, slow=True)
def test_saved_file_opens_in_spandrel_with_equal_output(member: Member, tmp_path):
    from spandrel import ModelLoader

    network = member.build().train()
    network(member.images())  # moves the statistics of batch normalization, as training does
    for parameter in network.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.05)
    state = {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    found = ModelLoader().load_from_file(tmp_path / "net.safetensors")
    assert found.architecture.id == member.component.traits.opens_as
    assert found.scale == member.scale
    side = max(member.component.traits.fitting(1), 16)
    x = torch.rand(1, 3, side, side + 16)
    with torch.no_grad():
        assert torch.equal(found.model.eval()(x), network.eval()(x))


@each(FOREIGN)
def test_weights_say_what_they_are_at_every_scale(member: Member):
    for scale in member.scales:
        state = member.build(scale).state_dict()
        found = detect(state)
        assert found is not None
        assert found.pop("scale") == scale
        component = ARCHS[found.pop("type")]
        again = component.build(found, scale=scale).state_dict()
        assert {name: tensor.shape for name, tensor in again.items()} == {
            name: tensor.shape for name, tensor in state.items() if name in again
        }
        assert [name for name in state if name not in again] == []


@each([member for member in OURS if member.component.traits.infer_options])
def test_weights_of_our_own_say_what_they_are_at_every_scale(member: Member):
    for scale in member.scales:
        state = member.build(scale).state_dict()
        found = member.component.traits.infer_options(state)
        assert found is not None
        assert found.pop("scale") in (scale, None)  # no tensor of ParagonSR2 depends on it
        again = ARCHS[found.pop("type")].build(found, scale=scale).state_dict()
        assert {name: tensor.shape for name, tensor in again.items()} == {
            name: tensor.shape for name, tensor in state.items()
        }


@each(OURS)
def test_gradient_step_lowers_the_loss(member: Member):
    x, network = member.images(), member.build()
    target = torch.rand_like(network(x).detach())
    trained = [p for p in network.parameters() if p.requires_grad]
    before = F.mse_loss(network(x), target)
    before.backward()
    # By as much as lowers the loss by 1 % to first order, whatever the network's scale.
    square = sum(p.grad.square().sum() for p in trained if p.grad is not None)
    torch.optim.SGD(trained, (0.01 * before / square).item()).step()
    assert F.mse_loss(network(x), target) < 0.999 * before.detach()


def test_every_arch_belongs_to_a_family_of_this_contract():
    covered = {member.component.name for member in MEMBERS}
    assert {component.traits.family or component.name for component in upscalers()} == covered
