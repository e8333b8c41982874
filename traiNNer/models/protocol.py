"""The contract between a model and the engine: a model yields phase losses, the engine does everything else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from traiNNer.batch import Batch

Upscaler = Callable[[Tensor], Tensor]
"""A network as a model and validation see it: B, 3, H, W float32 in [0, 1] to B, 3, sH, sW float32, not clamped."""


@dataclass(frozen=True)
class PhaseLoss:
    """The weighted loss terms of one backward pass: named float32 scalars whose sum is minimised."""

    terms: dict[str, Tensor]

    def total(self) -> Tensor:
        """Return the sum of the terms."""
        values = iter(self.terms.values())
        total = next(values)
        for value in values:
            total = total + value
        return total


class TrainableModel(Protocol):
    """What a training step computes. The engine runs one backward between two yields."""

    def phases(self, batch: Batch) -> Iterator[PhaseLoss]:
        """Yield the losses of one micro-batch (float32 images in [0, 1] on the device)."""
        ...
