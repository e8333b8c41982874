import warnings

import pytest
import torch

import traiNNer.losses  # noqa: F401 - registers them
from traiNNer.losses.weighted import WeightedLosses
from traiNNer.registry import LOSSES

# Options for losses that would download weights; all others are built from their defaults.
OFFLINE = {"perceptualloss": {"pretrained": False, "style_weight": 1.0}}
NAMES = [component.name for component in LOSSES if not component.traits.adversarial]
SIDE = 48


def build(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*random features")
        return LOSSES.build(name, OFFLINE.get(name))


@pytest.fixture(scope="module", params=NAMES)
def loss(request):
    return build(request.param)


def images():
    generator = torch.Generator().manual_seed(0)
    output = torch.rand(2, 3, SIDE, SIDE, generator=generator) * 1.4 - 0.2  # a network's output is not clamped
    return output.requires_grad_(), torch.rand(2, 3, SIDE, SIDE, generator=generator)


def test_all_are_here():
    assert {"l1loss", "mseloss", "charbonnierloss", "mssimloss", "perceptualloss"} <= set(NAMES)


def test_finite_float32_scalar_that_punishes(loss):
    value = loss(*images())
    assert value.shape == ()
    assert value.dtype is torch.float32
    assert torch.isfinite(value)
    assert value > 0


def test_gradient_for_the_output(loss):
    output, target = images()
    loss(output, target).backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().max() > 0
    # A step against the gradient lowers the loss.
    moved = output.detach() - 1e-2 * output.grad / output.grad.abs().max()
    assert loss(moved, target) < loss(output, target)


def test_zero_with_finite_gradient_at_identity(loss):
    _, target = images()
    output = target.clone().requires_grad_()
    value = loss(output, target)
    value.backward()
    assert abs(value.item()) < 1e-6
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_memory_format_does_not_matter(loss):
    output, target = images()
    last = [x.detach().contiguous(memory_format=torch.channels_last) for x in (output, target)]
    torch.testing.assert_close(loss(*last), loss(output, target), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in NAMES if LOSSES[name].traits.separable])
def test_separable_loss_gradients_match_in_micro_batches(name):
    loss, random = build(name), torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 3, 3, SIDE, SIDE, generator=random)
    whole = torch.autograd.grad(loss(output.requires_grad_(), target), output)[0]
    parts = [(slice(0, 1), 1 / 3), (slice(1, 3), 2 / 3)]
    summed = sum(loss(output[part], target[part]) * share for part, share in parts)
    found = torch.autograd.grad(summed, output)[0]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())


def test_builtin_losses_are_declared_separable():
    ours = ("l1loss", "mseloss", "charbonnierloss", "mssimloss", "perceptualloss")
    assert all(LOSSES[name].traits.separable for name in ours)


def test_weight_is_applied_once_and_twins_keep_separate_keys(loss):
    output, target = images()
    name = next(component.name for component in LOSSES if component.builder is type(loss))
    terms = WeightedLosses([(name, loss, 0.25), (name, loss, 3.0)])(output, target)
    assert list(terms) == [name, f"{name}_2"]
    torch.testing.assert_close(terms[name], 0.25 * loss(output, target))
    torch.testing.assert_close(terms[f"{name}_2"], 3 * loss(output, target))


def test_nothing_to_train_or_save(loss):
    assert not list(loss.parameters())
    assert not loss.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_build_does_not_touch_the_rng(name):
    before = torch.get_rng_state()
    build(name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_weight_is_not_an_option_of_the_loss(name):
    assert "loss_weight" not in LOSSES[name].options.model_fields
