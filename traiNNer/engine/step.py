"""One optimiser step from its micro-batches. Nothing here waits for the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from traiNNer.batch import Batch
from traiNNer.engine.runtime import Runtime
from traiNNer.models.protocol import TrainableModel


@dataclass(frozen=True)
class StepReport:
    """What a step found, as scalars on the device: the mean of each loss term, the gradient norm, and `finite`.

    `finite` is false when a loss term or the gradient is NaN or infinite; the update was skipped then.
    """

    terms: dict[str, Tensor]
    grad_norm: Tensor
    finite: Tensor


class Stepper:
    """Runs forward and backward for every micro-batch and updates the network once, or not at all."""

    def __init__(
        self,
        model: TrainableModel,
        network: nn.Module,
        optimizer: Optimizer,
        runtime: Runtime,
        max_norm: float | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.runtime = runtime
        self.max_norm = max_norm
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._buffers = list(network.buffers())

    def step(self, batches: Sequence[Batch]) -> StepReport:
        """Update the network from one iteration's micro-batches, as the loader gives them."""
        buffers = [buffer.clone() for buffer in self._buffers]
        self.optimizer.zero_grad(set_to_none=True)
        terms: dict[str, Tensor] = {}
        for batch in batches:
            self._accumulate(batch, terms, 1 / len(batches))
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        self.runtime.finish_gradients(self.optimizer, gradients)
        norm = get_total_norm(gradients)
        finite = self.runtime.agree(_all_finite([norm, *terms.values()]))
        if self.max_norm is not None:
            clip_grads_with_norm_(self._parameters, self.max_norm, norm)
        self.runtime.update(self.optimizer, finite)
        self.runtime.share_statistics(self._buffers, buffers)
        self._restore_unless(finite, buffers)
        return StepReport(terms, norm, finite)

    def _accumulate(self, batch: Batch, terms: dict[str, Tensor], share: float) -> None:
        for phase in self.model.phases(self.runtime.move(batch)):
            self.runtime.backward(phase.total() * share)
            for name, value in phase.terms.items():
                part = value.detach() * share
                terms[name] = terms[name] + part if name in terms else part

    def _restore_unless(self, finite: Tensor, before: Sequence[Tensor]) -> None:
        """Undo what the forward did to the buffers (running statistics) of a step that was skipped."""
        if self.runtime.reads_are_free and bool(finite):
            return
        with torch.no_grad():
            for buffer, old in zip(self._buffers, before, strict=True):
                buffer.copy_(torch.where(finite, buffer, old))


def _all_finite(values: Sequence[Tensor]) -> Tensor:
    return torch.isfinite(torch.stack([value.float() for value in values])).all()
