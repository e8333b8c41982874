"""What a discriminator says of images, as losses ask for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Discriminator = Callable[..., Tensor]
"""A network that judges B, 3, H, W images by B, … logits: above 0 is real. Called as `discriminator(images, features)`,
it appends its activations to the list `features`."""


class Judge:
    """A discriminator that judges every tensor of images once, whatever number of losses asks.

    Images without gradient are judged without one: it is not the discriminator that is trained by it.

    Args:
        discriminator: the network.
        keeps_features: whether a loss will ask for features, so that the first pass keeps them.
    """

    def __init__(self, discriminator: Discriminator, keeps_features: bool = False) -> None:
        self._discriminator = discriminator
        self._keeps_features = keeps_features
        self._known: list[tuple[Tensor, Tensor, list[Tensor]]] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Return the float32 logits of B, 3, H, W images."""
        return self._judge(images, is_asking_features=self._keeps_features)[0]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the activations of the inner layers, in their order. Raises `ValueError` where there are none."""
        found = self._judge(images, is_asking_features=True)[1]
        if not found:
            raise ValueError("network_d shows no features: its forward must append them to its second argument")
        return found

    def _judge(self, images: Tensor, is_asking_features: bool) -> tuple[Tensor, list[Tensor]]:
        for judged, logits, features in self._known:
            if judged is images and (features or not is_asking_features):
                return logits, features
        features = []
        with torch.set_grad_enabled(images.requires_grad and torch.is_grad_enabled()):
            logits = self._discriminator(images, features) if is_asking_features else self._discriminator(images)
        self._known.append((images, logits.float(), features))
        return self._known[-1][1:]


@dataclass(frozen=True)
class Verdict:
    """What a discriminator is to minimize, as named float32 scalars, and what the log shows of it."""

    terms: Mapping[str, Tensor]
    measures: Mapping[str, Tensor]


@runtime_checkable
class Adversary(Protocol):
    """A loss of the generator with a counterpart that trains the discriminator."""

    def against(self, discriminator: Discriminator, real: Tensor, fake: Tensor, iteration: int) -> Verdict:
        """Return the losses of the discriminator for B, 3, H, W images; `fake` has no gradient.

        `measures` has `accuracy`, the share of the logits that are right.
        """
        ...

    def judged(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        """Return the measures of a verdict alone."""
        ...
