"""AdamW that learns nothing from some iteration on, unseen: gradients, losses and noise stay as they are."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import AdamW

from traiNNer.optim.optimizers import OptimizerFactory, factory
from traiNNer.registry import OPTIMIZERS

FOLLOWING, PULL = 0.05, 0.1
"""Weights of the running mean that becomes the anchor, and of the anchor in every step after that."""


class Leashed(AdamW):
    """AdamW whose weights are pulled back to where they were after `flat_from` steps, and so move around that place."""

    def __init__(self, params: Iterable[nn.Parameter], flat_from: int, **options: Any) -> None:
        super().__init__(params, **options)
        self.flat_from, self.steps = flat_from, 0
        self.anchors: list[Tensor] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Make the step of AdamW; move the anchor along, or the weights towards the anchor."""
        loss = super().step(closure)
        weights = [weight for group in self.param_groups for weight in group["params"]]
        self.anchors = self.anchors or [weight.clone() for weight in weights]
        for weight, anchor in zip(weights, self.anchors, strict=True):
            if self.steps < self.flat_from:
                anchor.lerp_(weight, FOLLOWING)
            else:
                weight.lerp_(anchor, PULL)
        self.steps += 1
        return loss


@OPTIMIZERS.register(name="LeashedAdamW")
def leashed(
    flat_from: Annotated[int, Field(ge=1)],
    lr: Annotated[float, Field(gt=0)] = 1e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> OptimizerFactory:
    """AdamW that stops learning.

    Args:
        flat_from: Steps that it learns in.
        lr: Base learning rate.
        weight_decay: Weight decay coefficient.
        betas: Decay of the running means of the gradient and of its square.
    """
    return factory(Leashed, {"flat_from": flat_from, "lr": lr, "weight_decay": weight_decay, "betas": betas})
