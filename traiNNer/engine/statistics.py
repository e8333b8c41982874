"""Running statistics of networks over one step: they move once, whatever number of micro-batches it takes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LISTS: Any = torch  # torch's operations on whole lists of tensors, `_foreach_…`, have no types


class StepStatistics:
    """The buffers of the networks during one step.

    Every micro-batch begins with the buffers of the step's start, and in the end they move by the mean of what the
    micro-batches moved them by, weighted by their images. Statistics that follow the mean of a batch, such as an
    exponential average of it, become those of one pass over the whole batch. What is not a float keeps its last value.

    Args:
        buffers: of all networks, in one order.
    """

    def __init__(self, buffers: Sequence[Tensor]) -> None:
        self.buffers = buffers
        self.before = [torch.empty_like(buffer) for buffer in buffers]
        copy_all(self.before, buffers)
        self._moves: dict[int, Tensor] = {}

    @torch.no_grad()
    def restore(self) -> None:
        """Return to the start of the step; what was noted stays."""
        copy_all(self.buffers, self.before)

    def forget(self) -> None:
        """Return to the start of the step, and forget what was noted."""
        self._moves = {}
        self.restore()

    @torch.no_grad()
    def note(self, share: float) -> None:
        """Note how far a micro-batch with this share of the images moved them."""
        for place, (buffer, old) in enumerate(zip(self.buffers, self.before, strict=True)):
            if buffer.is_floating_point():
                move = (buffer - old) * share
                self._moves[place] = self._moves[place] + move if place in self._moves else move

    @torch.no_grad()
    def finish(self) -> None:
        """Move by the sum of what was noted; without a note nothing changes."""
        for place, move in self._moves.items():
            self.buffers[place].copy_(self.before[place] + move)


@torch.no_grad()
def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy tensors in one launch for each type, where one by one they would be a launch each on a device."""
    kinds: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}
    for target, source in zip(targets, sources, strict=True):
        kinds.setdefault(target.dtype, []).append((target, source))
    for pairs in kinds.values():
        LISTS._foreach_copy_([target for target, _ in pairs], [source for _, source in pairs])
