import warnings

import pytest
import torch

import traiNNer.losses  # noqa: F401 - registers them
from traiNNer.losses.weighted import WeightedLosses
from traiNNer.registry import LOSSES

# Options for losses that would download weights; all others are built from their defaults.
OFFLINE = {
    "perceptualloss": {"pretrained": False, "style_weight": 1.0},
    "lpipsloss": {"pretrained": False, "net": "squeeze"},
    "distsloss": {"pretrained": False},
    "contextualloss": {"pretrained": False},
}
# At identity a loss is zero but for rounding.
ROUNDING = {}
NAMES = [component.name for component in LOSSES if not component.traits.adversarial]
SIDE = 48
EXPECTED = """
    l1loss mseloss charbonnierloss huberloss psnrloss ssimloss mssimloss msssiml1loss fftloss ffloss
    gradientvarianceloss sobeledgeloss lumaloss colorloss averageloss bicubicloss hsluvloss cosimloss ldlloss nccloss
    perceptualloss contextualloss lpipsloss distsloss consistencyloss waveletloss
"""


def build(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*random features")
        return LOSSES.build(name, OFFLINE.get(name), scale=2)


def value_of(loss, output, target, averaged=None, weight=1.0):
    """Call a loss with what it asks for; by default the average of the weights is a bit better than the output."""
    better = averaged if averaged is not None else target + 0.9 * (output.detach() - target)
    return WeightedLosses([("x", loss, weight)])(output, target, output_ema=lambda: better, lq=target, iteration=1)["x"]


@pytest.fixture(scope="module", params=NAMES)
def loss(request):
    return build(request.param)


@pytest.fixture
def name(loss, request):
    return request.node.callspec.params["loss"]


def images():
    generator = torch.Generator().manual_seed(0)
    output = torch.rand(2, 3, SIDE, SIDE, generator=generator) * 1.4 - 0.2  # a network's output is not clamped
    return output.requires_grad_(), torch.rand(2, 3, SIDE, SIDE, generator=generator)


def test_all_are_here():
    assert set(EXPECTED.split()) <= set(NAMES)


def test_finite_float32_scalar_that_punishes(loss):
    value = value_of(loss, *images())
    assert value.shape == ()
    assert value.dtype is torch.float32
    assert torch.isfinite(value)
    assert value > 0


def test_gradient_for_the_output(loss):
    output, target = images()
    # Where the average of the weights is better, LDLLoss finds artifacts.
    averaged = target + 0.9 * (output.detach() - target)
    value_of(loss, output, target, averaged).backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().max() > 0
    # Values outside [0, 1] are taught like others: a clamp would leave them where they are.
    outside = (output < 0) | (output > 1)
    assert (output.grad[outside] != 0).float().mean() > 0.8
    # A step against the gradient lowers the loss.
    moved = output.detach() - 1e-2 * output.grad / output.grad.abs().max()
    assert value_of(loss, moved, target, averaged) < value_of(loss, output, target, averaged)


def test_flat_images_have_a_finite_gradient(loss):
    for level in (0.0, 0.5, 1.0):
        output = torch.full((1, 3, SIDE, SIDE), level, requires_grad=True)
        value_of(loss, output, torch.full_like(output, 0.5).detach()).backward()
        assert output.grad is not None
        assert torch.isfinite(output.grad).all()


def test_zero_with_finite_gradient_at_identity(loss, name):
    _, target = images()
    output = target.clone().requires_grad_()
    value = value_of(loss, output, target)
    value.backward()
    assert abs(value.item()) < ROUNDING.get(name, 1e-6)
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_half_precision_is_computed_in_float32(loss):
    output, target = images()
    for dtype in (torch.bfloat16, torch.float16):
        half = output.detach().to(dtype)
        value = value_of(loss, half, target)
        assert value.dtype is torch.float32
        torch.testing.assert_close(value, value_of(loss, half.float(), target))


def test_memory_format_does_not_matter(loss):
    output, target = images()
    last = [x.detach().contiguous(memory_format=torch.channels_last) for x in (output, target)]
    torch.testing.assert_close(value_of(loss, *last), value_of(loss, output, target), rtol=1e-5, atol=1e-7)


def test_a_clip_is_as_many_images(loss):
    output, target = images()
    as_images = value_of(loss, output.detach(), target)
    torch.testing.assert_close(value_of(loss, output.detach()[None], target[None]), as_images)


@pytest.mark.parametrize("name", [name for name in NAMES if LOSSES[name].traits.separable])
def test_separable_loss_gradients_match_in_micro_batches(name):
    loss, random = build(name), torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 3, 3, SIDE, SIDE, generator=random)
    averaged = target + 0.9 * (output - target)
    whole = torch.autograd.grad(value_of(loss, output.requires_grad_(), target, averaged), output)[0]
    parts = [(slice(0, 1), 1 / 3), (slice(1, 3), 2 / 3)]
    summed = sum(value_of(loss, output[part], target[part], averaged[part]) * share for part, share in parts)
    found = torch.autograd.grad(summed, output)[0]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())


def test_builtin_losses_are_declared_separable():
    assert [name for name in EXPECTED.split() if not LOSSES[name].traits.separable] == []


def test_weight_is_applied_once_and_twins_keep_separate_keys(loss, name):
    output, target = images()
    averaged = target + 0.9 * (output.detach() - target)
    both = WeightedLosses([(name, loss, 0.25), (name, loss, 3.0)])
    terms = both(output, target, output_ema=lambda: averaged)
    assert list(terms) == [name, f"{name}_2"]
    torch.testing.assert_close(terms[name], 0.25 * value_of(loss, output, target, averaged))
    torch.testing.assert_close(terms[f"{name}_2"], 3 * value_of(loss, output, target, averaged))


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
