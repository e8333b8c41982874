"""A GAN as a plugin: a small discriminator, and the model that trains it beside the generator."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.functional import softplus

from traiNNer.archs.traits import arch
from traiNNer.batch import Batch
from traiNNer.models.protocol import Losses, Networks, PhaseLoss, TrainableModel
from traiNNer.registry import MODELS


@arch()
class PatchDiscriminator(nn.Sequential):
    """Classifies every patch as real (above 0) or fake."""

    def __init__(self, width: int = 8) -> None:
        layers = (nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3, 2, 1))
        super().__init__(*layers)


@MODELS.register(name="patchgan", learners=("net_g", "net_d"))
class PatchGan(TrainableModel):
    """Pauses the discriminator while it is right too often (`lead`)."""

    def __init__(self, networks: Networks, losses: Losses, gan_weight: float = 0.1, pause_above: float = 0.9) -> None:
        self.generator, self.discriminator, self.losses = networks["net_g"], networks["net_d"], losses
        self.gan_weight, self.pause_above, self.lead = gan_weight, pause_above, 0.0

    def phases(self, batch: Batch, iteration: int) -> Iterator[PhaseLoss]:
        output = self.generator(batch.lq)
        terms = self.losses(output=output, target=batch.gt, lq=batch.lq, iteration=iteration)
        terms["gan"] = self.gan_weight * softplus(-self.discriminator(output)).mean()
        yield PhaseLoss(terms)  # the engine runs backward here, for net_g alone
        right = 0.0
        if self.lead <= self.pause_above:
            real, fake = self.discriminator(batch.gt), self.discriminator(output.detach())
            yield PhaseLoss({"real": softplus(-real).mean(), "fake": softplus(fake).mean()}, "net_d")
            right = float((real > fake).float().mean())
        self.lead = 0.9 * self.lead + 0.1 * right

    def state_dict(self) -> dict[str, Any]:
        return {"lead": self.lead}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.lead = state["lead"]
