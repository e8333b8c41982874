"""The exponential moving average (EMA) of a network's weights: what validation, test and export use."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

EMA = "_ema"
"""What the role of averaged weights ends in, after the learner's name."""
LISTS: Any = torch  # torch's operations on whole lists of tensors, `_foreach_…`, have no types


def decay_at(update: int, decay: float) -> float:
    """Return the decay of the update number `update` (from 1): short at first, so that the start is soon forgotten."""
    return min(decay, (1 + update) / (10 + update))


class WeightAverage:
    """Holds the averaged network, in evaluation mode. Parameters are averaged; buffers of every type are copied.

    Copying all buffers matters: an average that skips a boolean such as "statistics were seen" evaluates another
    function than the one that was trained.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = deepcopy(network).eval().requires_grad_(False)
        # A parameter that is not trained (frozen filters) is copied like a buffer: lerp would round it.
        pairs = list(zip(self.network.parameters(), network.parameters(), strict=True))
        self._averages = [average for average, source in pairs if source.requires_grad]
        self._sources = [source for _, source in pairs if source.requires_grad]
        self._copies = [average for average, source in pairs if not source.requires_grad]
        self._originals = [source for _, source in pairs if not source.requires_grad]
        self._copies += list(self.network.buffers())
        self._originals += list(network.buffers())

    @property
    def tensors(self) -> list[Tensor]:
        """All that an update may change."""
        return [*self._averages, *self._copies]

    @torch.no_grad()
    def update(self, iteration: int, applied: bool | Tensor = True) -> None:
        """Move the average towards the network after the update of `iteration`, unless that update was skipped.

        Args:
            iteration: the iteration just done, from 1; the decay is a function of it.
            applied: whether the update took place; a boolean tensor is never read on the host.
        """
        weight = 1 - decay_at(iteration, self.decay)
        if isinstance(applied, Tensor):
            steps = LISTS._foreach_sub(self._sources, self._averages)
            LISTS._foreach_mul_(steps, applied.float() * weight)
            LISTS._foreach_add_(self._averages, steps)
        elif applied:
            LISTS._foreach_lerp_(self._averages, self._sources, weight)
        if applied is not False and self._copies:
            LISTS._foreach_copy_(self._copies, self._originals)
