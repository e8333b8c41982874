"""The adversarial loss: what the generator gains by deceiving the discriminator, and the other way round."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.errors import ConfigError
from traiNNer.losses.judge import Discriminator, Judge, Verdict
from traiNNer.registry import LOSSES

GanType = Literal["vanilla", "lsgan", "hinge", "wgan_softplus", "r3gan"]
LABELED = ("vanilla", "lsgan")
Label = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


@LOSSES.register(separable=True, adversarial=True)
class GANLoss(nn.Module):
    """How well the discriminator tells the output from the ground truth.

    With f and r, the logits of output and ground truth, the generator and the discriminator minimize the mean of

    - `vanilla`: the cross entropy of f with `real_label_val`; those of r with it and of f with `fake_label_val`
      (Goodfellow et al., "Generative adversarial nets", 2014);
    - `lsgan`: the same with squared differences (Mao et al., "Least squares generative adversarial networks", 2017);
    - `hinge`: -f; max(0, 1 - r) and max(0, 1 + f) (Lim and Ye, "Geometric GAN", 2017);
    - `wgan_softplus`: softplus(-f); softplus(-r) and softplus(f), the logistic loss of StyleGAN2;
    - `r3gan`: softplus(r - f); softplus(f - r): each output is compared with its own ground truth (Huang et al., "The
      GAN is dead; long live the GAN!", 2024). It needs the gradient penalties.

    `loss_weight` is for the generator only. R1 and R2 are `weight / 2` times the squared gradient of the logits for
    real and generated images, summed over an image and divided by its logits (Mescheder et al., "Which training methods
    for GANs do actually converge?", 2018).

    Args:
        gan_type: The kind of loss.
        real_label_val: What the discriminator is to say of real images; below 1 it is a soft label.
        fake_label_val: What it is to say of generated images; above 0 it is a soft label.
        r1_weight: Factor of the gradient penalty on real images; 0 leaves it out.
        r2_weight: Factor of the gradient penalty on generated images; 0 leaves it out.
        penalty_interval: The penalties are computed in every such iteration, and count so many times more there.

    Raises:
        ConfigError: `r3gan` without a penalty, or labels for a kind of loss that has none.
    """

    def __init__(
        self,
        gan_type: GanType = "vanilla",
        real_label_val: Label = 1.0,
        fake_label_val: Label = 0.0,
        r1_weight: Weight = 0.0,
        r2_weight: Weight = 0.0,
        penalty_interval: Annotated[int, Field(ge=1)] = 16,
    ) -> None:
        super().__init__()
        if gan_type == "r3gan" and not r1_weight:
            raise ConfigError("GANLoss: r3gan diverges without gradient penalties; set r1_weight: 1 and r2_weight: 1")
        if gan_type not in LABELED and (real_label_val, fake_label_val) != (1.0, 0.0):
            raise ConfigError(f"GANLoss: {gan_type} has no labels; remove real_label_val and fake_label_val")
        self.gan_type = gan_type
        self.labels = real_label_val, fake_label_val
        self.penalties = r1_weight, r2_weight
        self.penalty_interval = penalty_interval

    def forward(self, output: Tensor, target: Tensor, discriminator: Judge) -> Tensor:
        """Return the generator's loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        fake = discriminator(output)
        if self.gan_type == "r3gan":
            return F.softplus(discriminator(target) - fake).mean()
        return -fake.mean() if self.gan_type == "hinge" else self._is_called(fake, real=True)

    def against(self, discriminator: Discriminator, real: Tensor, fake: Tensor, iteration: int) -> Verdict:
        """Return the discriminator's losses: `real` and `fake` (of `r3gan` one, `gan`), and `r1` and `r2` when due."""
        weights = self._penalties_due(iteration)
        images = [one.detach().requires_grad_(weight > 0) for one, weight in zip((real, fake), weights, strict=True)]
        r, f = (discriminator(one).float() for one in images)
        if self.gan_type == "r3gan":
            terms = {"gan": F.softplus(f - r).mean()}
        elif self.gan_type == "hinge":
            terms = {"real": F.relu(1 - r).mean(), "fake": F.relu(1 + f).mean()}
        else:
            terms = {"real": self._is_called(r, real=True), "fake": self._is_called(f, real=False)}
        for name, weight, logits, one in zip(("r1", "r2"), weights, (r, f), images, strict=True):
            if weight:
                terms[name] = 0.5 * weight * squared_gradient(logits, one)
        return Verdict(terms, self._measures(r.detach(), f.detach()))

    def judged(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the measures alone: the share of the logits that are right, and their means."""
        return self._measures(discriminator(real).float(), discriminator(fake).float())

    def _is_called(self, logits: Tensor, real: bool) -> Tensor:
        """Return how far logits are from calling the images real, or not real."""
        if self.gan_type == "wgan_softplus":
            return F.softplus(-logits if real else logits).mean()
        label = torch.full_like(logits, self.labels[0 if real else 1])
        distance = F.mse_loss if self.gan_type == "lsgan" else F.binary_cross_entropy_with_logits
        return distance(logits, label)

    def _measures(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {"accuracy": self._accuracy(real, fake), "real": real.mean(), "fake": fake.mean()}

    def _accuracy(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the share of the logits that are right: on the right side, or above that of the other image."""
        if self.gan_type == "r3gan":
            return (real > fake).float().mean()
        border = sum(self.labels) / 2 if self.gan_type == "lsgan" else 0.0
        return ((real > border).float().mean() + (fake < border).float().mean()) / 2

    def _penalties_due(self, iteration: int) -> tuple[float, float]:
        is_due = iteration % self.penalty_interval == 0
        r1, r2 = (weight * self.penalty_interval * is_due for weight in self.penalties)
        return r1, r2


def squared_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """Return the squared gradient of the logits for images, summed over each and divided by its number of logits."""
    gradient = torch.autograd.grad(logits.sum(), images, create_graph=True)[0]
    return gradient.square().flatten(1).sum(1).mean() / (logits.numel() / len(logits))
