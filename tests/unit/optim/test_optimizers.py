import copy
import inspect

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from traiNNer.optim.optimizers import REFUSED, SWITCHES, build_optimizer
from traiNNer.registry import OPTIMIZERS, UnknownComponent

OWN = ["muon", "adan", "adopt", "schedulefreeadamw", "soap", "stableadamw"]
"""Not torch's."""
USABLE = [component.name for component in OPTIMIZERS if not component.traits.refused and component.name not in OWN]
CLASSES = {name.lower(): value for name, value in vars(torch.optim).items() if inspect.isclass(value)}


def parameters(count=3):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(4, 3, 3, 3, generator=generator)) for _ in range(count)]


def train(optimizer, weights, iterations=6, skipped=(), decided_on_device=False):
    """Step with the same gradients each time; a skipped iteration has NaN gradients, or no step at all."""
    generator = torch.Generator().manual_seed(1)
    for iteration in range(iterations):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        skip = iteration in skipped
        if decided_on_device:
            for weight in weights:
                if skip:
                    weight.grad.fill_(float("nan"))
            optimizer.grad_scale, optimizer.found_inf = None, torch.tensor(float(skip))
            optimizer.step()
        elif not skip:
            optimizer.step()
    return weights


@pytest.mark.parametrize("name", USABLE)
def test_agrees_with_torchs_plain_loop(name):
    ours, plain = parameters(), parameters()
    built = build_optimizer(name, {}, ours)
    assert type(built) is CLASSES[name]
    options = {key: value for key, value in built.defaults.items() if key in OPTIMIZERS[name].options.model_fields}
    train(built, ours)
    switch = {"foreach": False} if "foreach" in inspect.signature(CLASSES[name]).parameters else {}
    train(CLASSES[name](plain, **options, **switch), plain)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
    assert not torch.equal(ours[0], parameters()[0])


@pytest.mark.parametrize("name", USABLE)
def test_defaults_match_torch(name):
    signature = inspect.signature(CLASSES[name]).parameters
    options = OPTIMIZERS[name].options.model_validate({})
    assert dict(options) == {key: p.default for key, p in signature.items() if key not in SWITCHES}


def test_every_torch_optimizer_is_classified():
    known = {n for n, c in CLASSES.items() if issubclass(c, torch.optim.Optimizer)} - {"optimizer"}
    assert known | set(OWN) == {component.name for component in OPTIMIZERS}
    assert known - set(OPTIMIZERS.names()) == {"lbfgs", "sparseadam"}
    assert {"adamw", "adam", "sgd", "rmsprop", "adagrad"} <= set(USABLE)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("AdamW", {"weight_decay": 0.1, "betas": [0.8, 0.95]}),
        ("Adam", {"amsgrad": True}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-2}),
    ],
)
def test_fused_agrees_with_plain(name, options):
    fused, plain = parameters(), parameters()
    optimizer = build_optimizer(name, {"lr": 1e-2, **options}, fused)
    assert optimizer.defaults["fused"]
    reference = CLASSES[name.lower()](plain, lr=1e-2, foreach=False, fused=False, **options)
    train(optimizer, fused, 20)
    train(reference, plain, 20)
    torch.testing.assert_close(fused, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("AdamW", {}),
        ("Adam", {"amsgrad": True}),
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("Adagrad", {}),
        ("Muon", {"weight_decay": 0.1}),
    ],
)
def test_found_inf_skips_an_update_without_a_trace(name, options):
    # The first iteration is among them: torch's SGD would keep uninitialized memory as its momentum there.
    skipped = {0, 2, 3}
    device, host = parameters(), parameters()
    on_device = build_optimizer(name, {"lr": 1e-2, **options}, device)
    on_host = build_optimizer(name, {"lr": 1e-2, **options}, host)
    train(on_device, device, skipped=skipped, decided_on_device=True)
    train(on_host, host, skipped=skipped)
    assert all(torch.equal(a, b) for a, b in zip(device, host, strict=True))
    states = [optimizer.state_dict()["state"] for optimizer in (on_device, on_host)]
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_damped_momentum_starts_as_in_torch():
    ours, plain = parameters(), parameters()
    options = {"lr": 1e-2, "momentum": 0.9, "dampening": 0.5}
    optimizer = build_optimizer("sgd", options, ours)
    assert not optimizer.defaults["fused"]
    train(optimizer, ours)
    train(torch.optim.SGD(plain, foreach=False, **options), plain)
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-7)


def test_frozen_parameters_are_skipped_and_the_base_rate_is_stored():
    weights = parameters()
    weights[0].requires_grad_(False)
    (group,) = build_optimizer("ADAMW", {"lr": 2e-4}, iter(weights)).param_groups
    assert len(group["params"]) == 2
    assert group["initial_lr"] == group["lr"] == 2e-4


def test_state_survives_a_round_trip():
    first, second = parameters(), parameters()
    saved = build_optimizer("SGD", {"lr": 1e-2, "momentum": 0.9}, first)
    train(saved, first, 3)
    resumed = build_optimizer("SGD", {"lr": 1e-2, "momentum": 0.9}, second)
    resumed.load_state_dict(copy.deepcopy(saved.state_dict()))
    with torch.no_grad():
        for target, source in zip(second, first, strict=True):
            target.copy_(source)
    assert all(torch.equal(a, b) for a, b in zip(train(saved, first), train(resumed, second), strict=True))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("AdamW", {"learning_rate": 1e-3}, "learning_rate"),
        ("AdamW", {"fused": True}, "fused"),
        ("AdamW", {"maximize": True}, "maximize"),
        ("AdamW", {"lr": "1e-3"}, "valid number"),
        ("AdamW", {"lr": 0}, "greater than 0"),
        ("AdamW", {"betas": [0.9]}, "betas"),
        ("AdamW", {"betas": [0.9, 1.5]}, "Invalid beta parameter at index 1: 1.5"),
        ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum"),
        ("LBFGS", {"lr": 1.0}, "LBFGS computes the loss several times"),
        ("SparseAdam", {}, "sparse gradients"),
    ],
)
def test_wrong_options_are_refused(name, options, message):
    with pytest.raises(ValidationError, match=message):
        OPTIMIZERS[name].options.parse(options)


def test_unknown_name_has_a_nearest_match():
    with pytest.raises(UnknownComponent, match="did you mean 'rmsprop'"):
        build_optimizer("rmspropp", {}, parameters())


@pytest.mark.parametrize("name", [*USABLE, *OWN])
def test_every_option_is_described(name):
    for option in OPTIMIZERS[name].options.model_fields:
        assert f"{option}: " in (OPTIMIZERS[name].builder.__doc__ or "")
    assert not set(USABLE) & {refused.lower() for refused in REFUSED}
