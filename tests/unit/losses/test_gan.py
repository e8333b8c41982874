"""The adversarial losses against their definitions, written out by hand."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from traiNNer.errors import ConfigError
from traiNNer.losses.gan import GANLoss, GanType, squared_gradient
from traiNNer.losses.judge import Adversary, Judge

KINDS = get_args(GanType)


class Mean(nn.Module):
    """Judges an image by a weighted sum of its pixels: the gradient is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        return self.weight * images.mean((1, 2, 3)).unsqueeze(1)


def loss_of(kind, **options):
    return GANLoss(kind, **({"r1_weight": 1.0} if kind == "r3gan" else {}) | options)


def flat(*values):
    """Return gray images of these levels: their logits are twice as large."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def softplus(x):
    return math.log1p(math.exp(x))


EXPECTED = {  # of one output with the logit 0.5 and a ground truth with the logit 1.5
    "vanilla": (softplus(-0.5), {"real": softplus(-1.5), "fake": softplus(0.5)}),
    "lsgan": (0.25, {"real": 0.25, "fake": 0.25}),
    "hinge": (-0.5, {"real": 0.0, "fake": 1.5}),
    "wgan_softplus": (softplus(-0.5), {"real": softplus(-1.5), "fake": softplus(0.5)}),
    "r3gan": (softplus(1.0), {"gan": softplus(-1.0)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_definition(kind):
    generator, opponent = EXPECTED[kind]
    loss, network = loss_of(kind), Mean()
    fake, real = flat(0.25), flat(0.75)
    assert loss(fake, real, Judge(network)).item() == pytest.approx(generator, abs=1e-6)
    verdict = loss.against(network, real, fake, iteration=1)
    assert {name: term.item() for name, term in verdict.terms.items()} == pytest.approx(opponent, abs=1e-6)
    assert isinstance(loss, Adversary)


def test_soft_labels():
    loss = GANLoss("lsgan", real_label_val=0.9, fake_label_val=0.1)
    terms = loss.against(Mean(), flat(0.5), flat(0.0), 1).terms
    assert terms["real"].item() == pytest.approx(0.01)
    assert terms["fake"].item() == pytest.approx(0.01)
    assert loss(flat(0.0), flat(0.5), Judge(Mean())).item() == pytest.approx(0.81)


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_pull_in_opposite_directions(kind):
    loss, network = loss_of(kind), Mean()
    output, target = flat(0.2, 0.3).requires_grad_(), flat(0.6, 0.4)
    gain = torch.autograd.grad(loss(output, target, Judge(network)), output)[0]
    assert (gain < 0).all()  # a higher logit deceives better
    verdict = loss.against(network, target, output.detach(), 1)
    pull = torch.autograd.grad(sum(verdict.terms.values()), network.weight)[0]
    assert torch.isfinite(pull)


def test_accuracy_and_means():
    measures = GANLoss("vanilla").against(Mean(), flat(0.5, -0.5), flat(-0.25, -0.75), 1).measures
    assert measures["accuracy"].item() == pytest.approx(0.75)
    assert measures["real"].item() == pytest.approx(0.0)
    assert measures["fake"].item() == pytest.approx(-1.0)
    assert not any(value.requires_grad for value in measures.values())
    assert loss_of("r3gan").judged(Mean(), flat(0.5, 0.1), flat(0.2, 0.3))["accuracy"].item() == 0.5
    assert GANLoss("lsgan").judged(Mean(), flat(0.3), flat(0.2))["accuracy"].item() == 1.0


def test_penalties_are_half_the_squared_gradient_and_lazy():
    # The gradient of a logit is 2 / 48 for each of 48 numbers, so its square sums up to 4 / 48.
    loss = GANLoss("vanilla", r1_weight=3.0, r2_weight=6.0, penalty_interval=4)
    for iteration in (1, 2, 3, 5):
        assert set(loss.against(Mean(), flat(0.5), flat(0.1), iteration).terms) == {"real", "fake"}
    terms = loss.against(Mean(), flat(0.5), flat(0.1), 8).terms
    assert terms["r1"].item() == pytest.approx(4 * 1.5 * 4 / 48)
    assert terms["r2"].item() == pytest.approx(4 * 3.0 * 4 / 48)


def test_gradient_penalty_does_not_depend_on_the_number_of_logits():
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    one = squared_gradient(images.flatten(1).sum(1, keepdim=True), images)
    assert one.item() == pytest.approx(3 * 64)
    assert squared_gradient(images, images).item() == pytest.approx(1.0)  # 192 logits, each of one pixel


@pytest.mark.parametrize("kind", KINDS)
def test_batch_in_parts_has_the_gradients_of_the_whole(kind):
    loss, network = loss_of(kind, r1_weight=0.5, r2_weight=0.5, penalty_interval=1), Mean()
    output, target = torch.rand(2, 3, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def gradients(part):
        given = output[part].clone().requires_grad_()
        gain = loss(given, target[part], Judge(network))
        verdict = loss.against(network, target[part], output[part], 1)
        return torch.stack([gain, *torch.autograd.grad(sum(verdict.terms.values()), network.weight)])

    parts = gradients(slice(0, 1)) / 3 + gradients(slice(1, 3)) * 2 / 3
    torch.testing.assert_close(parts, gradients(slice(0, 3)))


@pytest.mark.parametrize(
    ("options", "text"),
    [({"gan_type": "r3gan"}, "set r1_weight"), ({"gan_type": "hinge", "real_label_val": 0.9}, "has no labels")],
)
def test_options_that_cannot_work_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        GANLoss(**options)
