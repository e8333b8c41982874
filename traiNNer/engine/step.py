"""One optimiser step from its micro-batches. Nothing here waits for the device."""

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from traiNNer.batch import Batch
from traiNNer.engine.gate import NormGate
from traiNNer.engine.knobs import GRAD_CLIP, GRAD_SKIP, MICRO_BATCH, Knobs
from traiNNer.engine.runtime import Runtime, may_be_out_of_memory
from traiNNer.models.protocol import PhaseLoss, TrainableModel

Reference = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class StepReport:
    """What a step found, as scalars on the device: the mean of each loss term, the gradient norm, and two flags.

    `finite` is false when a loss term or the gradient is NaN or infinite, `applied` when the update was skipped, for
    that reason or for a gradient that exploded. `reference` is the loss of bicubic upscaling on the same images, and
    `norms` the gradient norm of every term by itself, both only when they are asked for.
    """

    terms: dict[str, Tensor]
    grad_norm: Tensor
    finite: Tensor
    applied: Tensor
    reference: Tensor | None = None
    norms: dict[str, Tensor] | None = None


@dataclass
class _Sums:
    """What adds up over the micro-batches of one step."""

    terms: dict[str, Tensor] = field(default_factory=dict)
    reference: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)


class Stepper:
    """Runs forward and backward for every micro-batch and updates the network once, or not at all.

    Args:
        model: computes the loss terms.
        network: what is trained.
        optimizer: of its parameters.
        runtime: where and how precisely it is computed.
        knobs: clipping, splitting and loss factors, looked at in every step.
        reference: the loss of bicubic upscaling on a batch, for helpers that watch the loss.
    """

    def __init__(
        self,
        model: TrainableModel,
        network: nn.Module,
        optimizer: Optimizer,
        runtime: Runtime,
        knobs: Knobs | None = None,
        reference: Reference | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.runtime = runtime
        self.knobs = knobs or Knobs()
        self.reference = reference
        self.gate = NormGate()
        self.is_measuring = False
        self.on_out_of_memory: Callable[[], bool] | None = None
        """Asked after a step ran out of memory: whether to do it again, in smaller parts. None: the error goes up."""
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._buffers = list(network.buffers())

    def measure(self, wanted: bool) -> None:
        """Switch the gradient norms of the single loss terms on or off; they cost a backward each."""
        self.is_measuring = wanted

    def step(self, batches: Sequence[Batch]) -> StepReport:
        """Update the network from one iteration's micro-batches, as the loader gives them.

        Raises:
            torch.OutOfMemoryError: the device cannot hold the smallest micro-batch.
        """
        buffers = [buffer.clone() for buffer in self._buffers]
        sums = self._gradients(batches, buffers)
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        self.runtime.finish_gradients(self.optimizer, gradients)
        norm = get_total_norm(gradients)
        finite = self.runtime.agree(_all_finite([norm, *sums.terms.values()]))
        applied = self.gate.accepts(norm, finite, self.knobs[GRAD_SKIP].at())
        limit = self.knobs[GRAD_CLIP].at()
        if limit < float("inf"):
            clip_grads_with_norm_(self._parameters, limit, norm)
        self.runtime.update(self.optimizer, applied)
        self.runtime.share_statistics(self._buffers, buffers)
        self._restore_unless(applied, buffers)
        norms = self.runtime.mean_norms(sums.gradients) if sums.gradients else None
        return StepReport(sums.terms, norm, finite, applied, sums.reference.get("bicubic"), norms)

    # Forward and backward, again in smaller parts when memory runs out

    def _gradients(self, batches: Sequence[Batch], buffers: Sequence[Tensor]) -> _Sums:
        while True:
            draws = self.runtime.draws() if self._may_retry else None
            sums = self._attempt(batches)
            # Every rank comes here whatever happened to it, so that a failure on one of them cannot block the others.
            failed = self.runtime.any_rank(int(sums is None)) if self._may_retry else 0
            if sums is not None and not failed:
                return sums
            del sums
            self._forget(buffers)
            self.runtime.redraw(draws)
            if self.is_measuring:
                self.is_measuring = False  # its extra graphs are what there was no room for, most likely
                continue
            if self.on_out_of_memory is None or not self.on_out_of_memory():
                raise torch.OutOfMemoryError("out of memory, and the micro-batch cannot be made smaller")

    @property
    def _may_retry(self) -> bool:
        return self.on_out_of_memory is not None or self.is_measuring

    def _attempt(self, batches: Sequence[Batch]) -> _Sums | None:
        """Return the sums over all micro-batches, or None when memory ran out and may be retried."""
        self.optimizer.zero_grad(set_to_none=True)
        sums = _Sums()
        try:
            for batch in batches:
                for part, share in split(batch, self.knobs[MICRO_BATCH].at()):
                    self._accumulate(part, sums, share / len(batches))
        # The error is not given a name: its traceback would keep every tensor of the failed step alive.
        except (RuntimeError, MemoryError):
            if not self._may_retry or not may_be_out_of_memory(sys.exception()):
                raise
            return None
        return sums

    def _forget(self, buffers: Sequence[Tensor]) -> None:
        """Leave no trace of an attempt, and no memory of it."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, old in zip(self._buffers, buffers, strict=True):
                buffer.copy_(old)
        gc.collect()
        self.runtime.release_memory()

    def _accumulate(self, batch: Batch, sums: _Sums, share: float) -> None:
        batch = self.runtime.move(batch)
        if self.reference and batch.lq is not None and batch.gt is not None:
            _add(sums.reference, "bicubic", self.reference(batch) * share)
        factors = self.knobs.loss_weights()
        for phase in self.model.phases(batch):
            terms = {name: term * factors[name] if name in factors else term for name, term in phase.terms.items()}
            if self.is_measuring:
                self._measure(terms, sums, share)
            self.runtime.backward(PhaseLoss(terms).total() * share)
            for name, value in terms.items():
                _add(sums.terms, name, value.detach() * share)

    def _measure(self, terms: dict[str, Tensor], sums: _Sums, share: float) -> None:
        for name, term in terms.items():
            _add(sums.gradients, name, self.runtime.gradient(term * share, self._parameters))

    def _restore_unless(self, applied: Tensor, before: Sequence[Tensor]) -> None:
        """Undo what the forward did to the buffers (running statistics) of a step that was skipped."""
        if self.runtime.reads_are_free and bool(applied):
            return
        with torch.no_grad():
            for buffer, old in zip(self._buffers, before, strict=True):
                buffer.copy_(torch.where(applied, buffer, old))


def split(batch: Batch, size: float) -> list[tuple[Batch, float]]:
    """Cut a batch into balanced parts of at most `size` images, each with its share of the whole (8 at 6: 4 and 4)."""
    images = len(batch.keys)
    count = -(-images // max(1, int(min(size, images))))
    if count == 1:
        return [(batch, 1.0)]
    ends = [images * part // count for part in range(count + 1)]
    return [(batch.part(start, end), (end - start) / images) for start, end in pairwise(ends)]


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


def _all_finite(values: Sequence[Tensor]) -> Tensor:
    return torch.isfinite(torch.stack([value.float() for value in values])).all()
