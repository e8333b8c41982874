import pytest
import torch
from pydantic import ValidationError
from torch import nn

from traiNNer.errors import ConfigError
from traiNNer.optim import extra
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.registry import OPTIMIZERS
from traiNNer.traits import Requirement

NAMES = {
    "stableadamw": "StableAdamW",
    "soap": "SOAP",
    "adopt": "ADOPT",
    "adan": "Adan",
    "schedulefreeadamw": "ScheduleFreeAdamW",
}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(4, 3, 3, 3, generator=generator)) for _ in range(2)]


def train(optimizer, weights, iterations=5):
    generator = torch.Generator().manual_seed(1)
    for _ in range(iterations):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    return weights


def test_all_of_the_extra_are_known():
    assert {one.name for one in OPTIMIZERS if one.traits.requires is extra.EXTRA} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_packages_plain_loop_and_its_defaults(name):
    package = pytest.importorskip("pytorch_optimizer")
    ours, plain = parameters(), parameters()
    train(build_optimizer(name, {}, ours), ours)
    train(getattr(package, NAMES[name])(plain, **({} if name == "soap" else {"foreach": False})), plain)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
    assert not torch.equal(ours[0], parameters()[0])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stableadamw", {"lr": 1e-2, "betas": [0.8, 0.9], "weight_decay": 0.1, "weight_decouple": False}),
        ("soap", {"lr": 1e-2, "precondition_frequency": 2, "precondition_1d": True, "shampoo_beta": 0.8}),
        ("adopt", {"lr": 1e-2, "betas": [0.8, 0.99], "weight_decay": 0.1, "weight_decouple": True}),
        ("adan", {"lr": 1e-2, "betas": [0.9, 0.9, 0.9], "weight_decay": 0.1, "weight_decouple": True}),
        ("schedulefreeadamw", {"lr": 1e-2, "betas": [0.8, 0.99], "r": 1.0, "weight_lr_power": 1.0, "ams_bound": True}),
    ],
)
def test_every_option_arrives(name, options):
    pytest.importorskip("pytorch_optimizer")
    built = build_optimizer(name, options, parameters()).defaults
    for option, value in options.items():
        assert built[option] == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_named_with_its_command(name, monkeypatch):
    monkeypatch.setattr(
        extra, "EXTRA", Requirement("pytorch_optimizer_missing", "pip install 'trainner-sr[optimizers]'")
    )
    with pytest.raises(ConfigError, match=r"needs the package .* pip install 'trainner-sr\[optimizers\]'"):
        build_optimizer(name, {}, parameters())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adan", {"betas": [0.9, 0.9]}),
        ("adopt", {"lr": 0}),
        ("schedulefreeadamw", {"betas": [0, 0.9]}),
        ("schedulefreeadamw", {"warmup_steps": 5}),
        ("soap", {"precondition_frequency": 0}),
        ("stableadamw", {"foreach": True}),
    ],
)
def test_wrong_options_are_refused(name, options):
    with pytest.raises(ValidationError):
        OPTIMIZERS[name].options.parse(options)
