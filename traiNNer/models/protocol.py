"""The contract between a model and the engine: a model yields phase losses, the engine does everything else."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from traiNNer.batch import Batch

MAIN = "net_g"
"""The learner whose network is validated, tested and shipped."""

Upscaler = Callable[[Tensor], Tensor]
"""A network as a model and validation see it: B, 3, H, W float32 in [0, 1] to B, 3, sH, sW float32, not clamped.

A network of clips makes the middle frame of B, T, 3, H, W.
"""
Networks = Mapping[str, Upscaler]
"""Networks by learner name (`net_g`, `net_d`), each run in the precision of the run."""
Losses = Callable[..., dict[str, Tensor]]
"""The weighted losses of the option file, called by keyword: `output`, `target`, `lq`, `output_ema`, `iteration`."""


@dataclass(frozen=True)
class PhaseLoss:
    """The loss terms of one backward pass: named float32 scalars, whose sum `learner` is to minimize.

    The gradient reaches the parameters of that learner only, whatever other networks the terms pass through. Where
    `output` is given, what `net_g` made of the batch, training images that hurt can be found, and the share of every
    term in its gradient is logged. `measures` are further scalars without gradient for the log, by their names there.
    """

    terms: dict[str, Tensor]
    learner: str = MAIN
    output: Tensor | None = None
    measures: Mapping[str, Tensor] = field(default_factory=dict)

    def total(self) -> Tensor:
        """Return the sum of the terms."""
        values = iter(self.terms.values())
        total = next(values)
        for value in values:
            total = total + value
        return total


class TrainableModel(ABC):
    """What a training step computes.

    A model registers with the learners that it trains, `@MODELS.register(learners=("net_g", "net_d"))`. Its builder
    may ask for `networks` (the networks to call, by learner name), `averages` (their EMA, for learners that have one)
    and `losses` (the weighted losses of the option file, called by keyword).
    """

    @abstractmethod
    def phases(self, batch: Batch, iteration: int) -> Iterator[PhaseLoss]:
        """Yield the losses of one micro-batch; the engine runs one backward between two yields.

        Args:
            batch: B, 3, H, W float32 images in [0, 1] on the device; LQ may be clips, B, T, 3, H, W.
            iteration: the iteration under way, from 1.
        """

    def after_step(self, measures: Mapping[str, Tensor]) -> None:  # noqa: B027 - most models need no answer
        """Hear the measures of an iteration: their means over its images and the ranks, so that all ranks decide alike.

        Not called without measures.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what the model remembers between iterations, as plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - a model without state restores nothing
        """Restore what `state_dict` returned."""


def averaged(network: Upscaler | None, lq: Tensor) -> Callable[[], Tensor] | None:
    """Return what computes the output of the EMA, without gradient; None where there is no EMA."""
    if network is None:
        return None

    def compute() -> Tensor:
        with torch.no_grad():
            return network(lq)

    return compute
