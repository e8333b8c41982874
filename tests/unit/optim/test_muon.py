"""Muon against its formula in float64, step by step."""

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from traiNNer.optim.muon import orthogonalize
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.registry import OPTIMIZERS

SHAPES = {"conv": (8, 4, 3, 3), "alike": (8, 36), "wide": (3, 8, 3, 3), "depthwise": (8, 1, 3, 3)}
OTHERS = {"bias": (8,), "scale": (1, 8, 1, 1), "column": (8, 1)}


def parameters(kind=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return {
        name: nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(kind))
        for name, shape in (SHAPES | OTHERS).items()
    }


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    return {n: torch.randn(s, generator=generator, dtype=torch.float64) for n, s in (SHAPES | OTHERS).items()}


def train(optimizer, weights, steps, first=0):
    for step in range(first, first + steps):
        for name, gradient in gradients(step).items():
            weights[name].grad = gradient.to(weights[name].dtype)
        optimizer.step()
    return weights


def restated(weights, steps, lr, momentum, nesterov, decay):
    """The published update, one weight after the other, as plainly as it can be written."""
    found = {name: weights[name].detach().clone() for name in SHAPES}
    buffers = {name: torch.zeros_like(value) for name, value in found.items()}
    for step in range(steps):
        for name, value in found.items():
            gradient = gradients(step)[name]
            buffers[name] = momentum * buffers[name] + (1 - momentum) * gradient
            update = momentum * buffers[name] + (1 - momentum) * gradient if nesterov else buffers[name]
            matrix = update.reshape(len(update), -1)
            rows, columns = matrix.shape
            x = (matrix.T if rows > columns else matrix) / (matrix.norm() + 1e-7)
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x.T if rows > columns else x
            value.mul_(1 - lr * decay).sub_(lr * 0.2 * max(rows, columns) ** 0.5 * x.reshape(value.shape))
    return found


@pytest.mark.parametrize("nesterov", [False, True])
def test_agrees_with_the_formula(nesterov):
    options = {"lr": 0.02, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1}
    ours = parameters(torch.float64)
    expected = restated(ours, 4, options["lr"], options["momentum"], nesterov, options["weight_decay"])
    train(build_optimizer("Muon", options, ours.values()), ours, 4)
    torch.testing.assert_close({name: ours[name].data for name in SHAPES}, expected, rtol=1e-10, atol=1e-12)


def test_everything_else_moves_as_by_adamw():
    ours, plain = parameters(), parameters()
    options = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}
    train(build_optimizer("muon", options, ours.values()), ours, 5)
    train(torch.optim.AdamW([plain[name] for name in OTHERS], **options), plain, 5)
    torch.testing.assert_close([ours[n] for n in OTHERS], [plain[n] for n in OTHERS], rtol=1e-5, atol=1e-6)


def test_singular_values_are_near_one():
    generator = torch.Generator().manual_seed(0)
    skewed = torch.randn(5, 24, 40, generator=generator) * torch.logspace(0, -2, 40)
    values = torch.linalg.svdvals(orthogonalize(skewed))
    assert 0.3 < values.min() < values.max() < 1.3
    assert torch.equal(orthogonalize(skewed.mT), orthogonalize(skewed).mT)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_resumes_exactly(memory_format):
    def made():
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)).to(memory_format=memory_format)
        return net, build_optimizer("muon", {"lr": 0.02}, net.parameters())

    def go(net, optimizer, steps):
        for step in steps:
            optimizer.zero_grad()
            images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
            net(images).square().mean().backward()
            optimizer.step()
        return [parameter.clone() for parameter in net.parameters()]

    (first, straight), (second, resumed) = made(), made()
    go(first, straight, range(3))
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    pairs = zip(go(first, straight, range(3, 6)), go(second, resumed, range(3, 6)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0}, "greater than 0"),
        ({"momentum": 1.0}, "less than 1"),
        ({"ns_steps": 0}, "greater than or equal to 1"),
        ({"betas": [0.9]}, "betas"),
        ({"adamw_lr": 1e-3}, "adamw_lr"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        OPTIMIZERS["muon"].options.parse(options)
