"""One iteration: an update of every learner from the micro-batches. Nothing here waits for the device."""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import MICRO_BATCH, Knobs
from traiNNer.engine.gradient_share import GradientShares
from traiNNer.engine.learner import Learner
from traiNNer.engine.runtime.runtime import BatchDegrade, Runtime
from traiNNer.engine.statistics import StepStatistics
from traiNNer.engine.step_report import StepReport, Update
from traiNNer.errors import ConfigError
from traiNNer.models.protocol import MAIN, PhaseLoss, TrainableModel

Reference = Callable[[Batch, int], Tensor]
Explained = Callable[[Tensor, Batch], Tensor | None]
_Before = tuple[list[Tensor], dict[str, Any]]
NOTE_EVERY = 2
"""Images are noted in every second iteration: half of their visits nominate as well, at half the cost."""


@dataclass
class Measuring:
    """Whether the gradient norm of every loss term is measured by itself, which costs a backward each."""

    is_on: bool = False


@dataclass
class _Sums:
    """What adds up over the micro-batches of one step; terms and gradients by learner."""

    terms: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    gradients: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    measures: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    shares: dict[str, Tensor] = field(default_factory=dict)
    reference: dict[str, Tensor] = field(default_factory=dict)
    images: list[Tensor] = field(default_factory=list)


class Stepper:
    """Runs forward and backward for every micro-batch and updates each learner once, or not at all.

    Args:
        model: computes the loss terms.
        learners: what is trained, by name.
        runtime: where and how precisely it is computed.
        knobs: clipping, splitting and loss factors, read in every step.
        reference: the loss of bicubic upscaling on a batch, for automations that watch the loss.
        measuring: the switch of the terms' own gradient norms.
        on_out_of_memory: asked after a step ran out of memory: whether to do it again, in smaller micro-batches.
            None raises the error.
        explained: what is noted of every image, a row each, by the output for a batch and that batch.
        shares: when and how the share of every loss term in the gradient at the output is measured.
        degrade: makes the degradations that the data workers left to the step.
    """

    def __init__(
        self,
        model: TrainableModel,
        learners: Mapping[str, Learner],
        runtime: Runtime,
        knobs: Knobs,
        reference: Reference | None = None,
        measuring: Measuring | None = None,
        on_out_of_memory: Callable[[], bool] | None = None,
        explained: Explained | None = None,
        shares: GradientShares | None = None,
        degrade: BatchDegrade | None = None,
    ) -> None:
        self.model = model
        self.learners = dict(learners)
        self.runtime = runtime
        self.knobs = knobs
        self.reference = reference
        self.measuring = measuring or Measuring()
        self.on_out_of_memory = on_out_of_memory
        self.explained = explained
        self.shares = shares
        self.degrade = degrade
        self.is_whole = True
        """Whether learners, model and random numbers are those between two iterations: a checkpoint may be written."""
        self._cause = ""
        self._buffers = [buffer for learner in self.learners.values() for buffer in learner.buffers]
        self._averages = {name: runtime.gradient_average(one.parameters) for name, one in self.learners.items()}

    def step(self, batches: Sequence[Batch], iteration: int = 1) -> StepReport:
        """Update the learners from one iteration's micro-batches, as the loader gives them.

        Args:
            batches: the micro-batches.
            iteration: the iteration under way, from 1.

        Whatever is raised before the first update leaves no trace of the step (`is_whole`).

        Raises:
            ConfigError: the model yields no phase.
            torch.OutOfMemoryError: the device cannot hold the smallest micro-batch.
        """
        self.is_whole = False
        statistics = StepStatistics(self._buffers)
        sums = self._gradients(batches, iteration, statistics)
        if not sums.terms:
            raise ConfigError(
                f"The model gave no phase in iteration {iteration:,}: each must train at least one network."
            )
        active = [self.learners[name] for name in sums.terms]
        norms = {learner.name: self._finished_norm(learner) for learner in active}
        terms = chain.from_iterable(found.values() for found in sums.terms.values())
        finite = self.runtime.all_ranks(_all_finite([*norms.values(), *terms]))
        updates = {learner.name: self._update(learner, sums, norms[learner.name], finite) for learner in active}
        self.runtime.finish_step()
        self.runtime.share_statistics(self._buffers, statistics.before)
        self._restore_buffers(updates, finite, statistics.before)
        self._tell_measures(sums)
        self.is_whole = True
        images = torch.cat(sums.images) if sums.images else None
        return StepReport(updates, finite, sums.reference.get("bicubic"), images)

    def _finished_norm(self, learner: Learner) -> Tensor:
        gradients = learner.gradients()
        self.runtime.finish_gradients(learner.optimizer, gradients, self._averages[learner.name])
        return get_total_norm(gradients)

    def _update(self, learner: Learner, sums: _Sums, norm: Tensor, finite: Tensor) -> Update:
        applied = learner.norm_filter.accepts(norm, finite, learner.grad_skip)
        if learner.grad_clip < float("inf"):
            clip_grads_with_norm_(learner.parameters, learner.grad_clip, norm)
        self.runtime.update(learner.optimizer, applied)
        gradients = sums.gradients.get(learner.name)
        norms = self.runtime.mean_norms(gradients) if gradients else None
        shares = GradientShares.of(sums.shares) if learner.name == MAIN else {}
        measures = sums.measures.get(learner.name, {}) | shares
        return Update(sums.terms[learner.name], norm, applied, norms, measures)

    def _tell_measures(self, sums: _Sums) -> None:
        """Let the model hear what it measured, averaged over the ranks."""
        found = {name: value for values in sums.measures.values() for name, value in values.items()}
        if found:
            means = self.runtime.mean_over_ranks(torch.stack(list(found.values())))
            self.model.after_step(dict(zip(found, means.unbind(), strict=True)))

    # Forward and backward, again in smaller micro-batches when memory runs out

    def _gradients(self, batches: Sequence[Batch], iteration: int, statistics: StepStatistics) -> _Sums:
        while True:
            before = self._before_attempt()
            with self._undone_if_it_fails(statistics, before):
                sums = self._attempt(batches, iteration, statistics)
            # Every rank comes here whatever happened to it, so that a failure on one of them cannot block the others.
            failed = self.runtime.max_over_ranks(int(sums is None)) if self._may_retry else 0
            if sums is not None and not failed:
                return sums
            del sums
            self._forget(statistics, before)
            if self.measuring.is_on:
                self.measuring.is_on = False  # its extra graphs are what there was no room for, most likely
                continue
            if self.on_out_of_memory is None or not self.on_out_of_memory():
                self.is_whole = True
                raise torch.OutOfMemoryError(f"{self._cause} (the micro-batch cannot be made smaller)")

    @property
    def _may_retry(self) -> bool:
        return self.on_out_of_memory is not None or self.measuring.is_on

    def _before_attempt(self) -> _Before:
        return self.runtime.rng.snapshot(), deepcopy(self.model.state_dict())

    @contextmanager
    def _undone_if_it_fails(self, statistics: StepStatistics, before: _Before) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._forget(statistics, before)
            self.is_whole = True
            raise

    def _attempt(self, batches: Sequence[Batch], iteration: int, statistics: StepStatistics) -> _Sums | None:
        """Return the sums over all micro-batches, or None when memory ran out and may be retried."""
        self._zero_gradients()
        self._cause = "out of memory on another rank"
        sums = _Sums()
        try:
            parts = [part for batch in batches for part in split(batch, self.knobs[MICRO_BATCH].at())]
            for number, (part, share) in enumerate(parts):
                if number:
                    statistics.restore()
                is_last = number + 1 == len(parts) and not self._may_retry
                self._accumulate(part, sums, share / len(batches), iteration, is_last)
                if len(parts) > 1:
                    statistics.note(share / len(batches))
            statistics.finish()
        # The error is not given a name: its traceback would keep every tensor of the failed step alive.
        except (RuntimeError, MemoryError):
            if not self._may_retry or not self.runtime.ran_out_of_memory(sys.exception()):
                raise
            self._cause = str(sys.exception()) or "out of memory"
            return None
        return sums

    def _zero_gradients(self) -> None:
        for learner in self.learners.values():
            learner.optimizer.zero_grad(set_to_none=True)
            self._averages[learner.name].begin()

    def _forget(self, statistics: StepStatistics, before: _Before) -> None:
        """Leave no trace of an attempt, and no memory of it."""
        self._zero_gradients()
        statistics.forget()
        self.runtime.rng.roll_back(before[0])
        self.model.load_state_dict(before[1])
        gc.collect()
        self.runtime.release_memory()

    def _accumulate(self, batch: Batch, sums: _Sums, share: float, iteration: int, is_last: bool) -> None:
        batch = self.runtime.move(batch, self.degrade)
        if self.reference and batch.lq is not None and batch.gt is not None:
            _add(sums.reference, "bicubic", self.reference(batch, iteration) * share)
        for phase in self.model.phases(batch, iteration):
            learner = self.learners[phase.learner]
            terms = self._weighted(phase)
            if self.measuring.is_on and learner.name == MAIN:
                self._measure(learner, terms, sums, share)
            if self.shares and learner.name == MAIN and self.shares.is_due(iteration):
                weighted = {name: term * share for name, term in terms.items()}
                for name, square in self.shares.squares(weighted, phase.output, self.runtime.gradient).items():
                    _add(sums.shares, name, square)
            with self._averages[learner.name].backward(is_last):
                self.runtime.backward(PhaseLoss(terms).total() * share, self._inputs(learner))
            for name, value in terms.items():
                _add(sums.terms.setdefault(learner.name, {}), name, value.detach() * share)
            for name, value in phase.measures.items():
                _add(sums.measures.setdefault(learner.name, {}), name, value.detach().float() * share)
            if self.explained and phase.output is not None and iteration % NOTE_EVERY == 0:
                rows = self.explained(phase.output.detach(), batch)
                sums.images.extend([] if rows is None else [rows])

    def _inputs(self, learner: Learner) -> list[Tensor] | None:
        """Return what the gradient is to reach: with one learner everything, as it is quicker."""
        return None if len(self.learners) == 1 else list(learner.parameters)

    def _weighted(self, phase: PhaseLoss) -> dict[str, Tensor]:
        """Apply the factors of the loss weights, which are knobs of the main learner."""
        factors = self.knobs.loss_weights() if phase.learner == MAIN else {}
        return {name: term * factors[name] if name in factors else term for name, term in phase.terms.items()}

    def _measure(self, learner: Learner, terms: dict[str, Tensor], sums: _Sums, share: float) -> None:
        gradients = sums.gradients.setdefault(learner.name, {})
        for name, term in terms.items():
            _add(gradients, name, self.runtime.gradient(term * share, learner.parameters))

    def _restore_buffers(self, updates: Mapping[str, Update], finite: Tensor, before: Sequence[Tensor]) -> None:
        """Undo what the forward did to the buffers (running statistics) of a learner whose update was skipped."""
        saved = iter(before)
        for learner in self.learners.values():
            kept = updates[learner.name].applied if learner.name in updates else finite
            pairs = [(buffer, next(saved)) for buffer in learner.buffers]
            if self.runtime.reads_are_free and bool(kept):
                continue
            with torch.no_grad():
                for buffer, old in pairs:
                    buffer.copy_(torch.where(kept, buffer, old))


def split(batch: Batch, size: float) -> list[tuple[Batch, float]]:
    """Cut a batch into balanced micro-batches of at most `size` images, each with its share (8 at 6: 4 and 4)."""
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
