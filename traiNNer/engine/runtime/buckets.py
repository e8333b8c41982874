"""Gradients averaged over the ranks: all at once after backward, or in buckets while backward still runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from traiNNer.engine.runtime.ranks import Ranks, lost_rank_named

LARGE_BYTES = 8 * 2**20
"""Gradients from which on buckets are worth their hooks; smaller ones are sent as one piece after backward."""
BUCKET_BYTES = 4 * 2**20
"""A parameter is never cut in two."""


class GradientAverage:
    """Averages the gradients of one learner over the ranks, once a step.

    Of a large network a bucket is sent as soon as its gradients are complete, while backward computes those of earlier
    layers: from the last backward of the step on that the learner had in the step before. If one more comes, what was
    sent is thrown away and everything is averaged again, so a wrong guess costs time and never correctness.

    Args:
        ranks: the processes of the run.
        parameters: those that are trained.
    """

    def __init__(self, ranks: Ranks, parameters: Sequence[Tensor]) -> None:
        self._ranks = ranks
        self._buckets: list[_Bucket] = []
        self._expected, self._backwards = 1, 0
        self._is_sending, self._is_valid = False, False
        if ranks.world > 1 and sum(map(_bytes, parameters)) >= LARGE_BYTES:
            # Backward comes to the last layers first.
            self._buckets = [_Bucket(group) for group in _groups(list(parameters)[::-1], BUCKET_BYTES)]
            for bucket in self._buckets:
                for place, parameter in enumerate(bucket.parameters):
                    parameter.register_post_accumulate_grad_hook(partial(self._take, bucket, place))

    @property
    def is_overlapped(self) -> bool:
        """Whether gradients are sent while backward runs."""
        return bool(self._buckets)

    def begin(self) -> None:
        """Begin a step."""
        self._backwards = 0
        self._is_sending = self._is_valid = False

    @contextmanager
    def backward(self, is_last_part: bool) -> Iterator[None]:
        """Run one backward of the step, and send during it if it is the last one as far as is known.

        Args:
            is_last_part: whether it belongs to the last micro-batch of a step that is not done again on failure: a rank
                that ran out of memory would not send what the others wait for.
        """
        self._wait()  # one backward more than in the step before: nothing of what was sent counts
        self._is_valid = False
        self._backwards += is_last_part
        self._is_sending = bool(self._buckets) and is_last_part and self._backwards == self._expected
        for bucket in self._buckets if self._is_sending else ():
            bucket.begin()
        yield
        # The gradients of parameters that this backward did not reach.
        for bucket in self._buckets if self._is_sending else ():
            bucket.fill()
            bucket.send()
        self._is_valid, self._is_sending = self._is_sending, False

    def finish(self, gradients: Sequence[Tensor]) -> None:
        """Overwrite the gradients with their mean over the ranks."""
        self._expected = max(1, self._backwards)
        if not self._is_valid:
            self._ranks.average(gradients)
            return
        self._wait()
        self._is_valid = False
        for bucket in self._buckets:
            bucket.give_back(self._ranks.world)

    def _take(self, bucket: "_Bucket", place: int, parameter: Tensor) -> None:
        if not self._is_sending:
            return
        bucket.take(place, parameter)
        # Every rank sends in the same order, whatever was complete first.
        for one in self._buckets:
            if one.missing:
                break
            one.send()

    def _wait(self) -> None:
        with lost_rank_named():
            for bucket in self._buckets:
                bucket.wait()


class _Bucket:
    """Gradients that travel together, one after the other in a flat tensor."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.missing: set[int] = set()
        sizes = [parameter.numel() for parameter in parameters]
        self._flat = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)
        parts = self._flat.split(sizes)
        self._views = [part.view(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]
        self._work: Any = None
        self._is_sent = False

    def begin(self) -> None:
        self.missing = set(range(len(self.parameters)))
        self._is_sent = False

    def take(self, place: int, parameter: Tensor) -> None:
        assert parameter.grad is not None  # the hook runs when it has been accumulated
        self._views[place].copy_(parameter.grad)
        self.missing.discard(place)

    def fill(self) -> None:
        for place in list(self.missing):
            if self.parameters[place].grad is None:
                self._views[place].zero_()
                self.missing.discard(place)
            else:
                self.take(place, self.parameters[place])

    def send(self) -> None:
        if not self._is_sent:
            self._is_sent = True
            with lost_rank_named():
                self._work = dist.all_reduce(self._flat, async_op=True)

    def wait(self) -> None:
        if self._work is not None:
            self._work.wait()
            self._work = None

    @torch.no_grad()
    def give_back(self, world: int) -> None:
        self._flat.div_(world)
        for parameter, view in zip(self.parameters, self._views, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(view)


def _groups(parameters: Sequence[Tensor], limit: int) -> list[list[Tensor]]:
    """Return the parameters in groups of one type and device of at most `limit` bytes, or of one parameter."""
    groups: list[list[Tensor]] = []
    for parameter in parameters:
        last = groups[-1] if groups else []
        fits = sum(map(_bytes, last)) + _bytes(parameter) <= limit
        if last and fits and (last[0].dtype, last[0].device) == (parameter.dtype, parameter.device):
            last.append(parameter)
        else:
            groups.append([parameter])
    return groups


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
