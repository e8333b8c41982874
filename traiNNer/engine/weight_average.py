"""The average of a network's weights, an EMA or the optimizer's: what validation, test and export use."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

EMA = "_ema"
"""What the role of averaged weights ends in, after the learner's name."""
ANCHOR = "z"
"""What schedule-free optimizers call the point that they move, in the state of a parameter."""
LISTS: Any = torch  # torch's operations on whole lists of tensors, `_foreach_…`, have no types


def decay_at(update: int, decay: float) -> float:
    """Return the decay of the update number `update` (from 1): short at first, so that the start is soon forgotten."""
    return min(decay, (1 + update) / (10 + update))


class Average(ABC):
    """Holds the averaged network, in evaluation mode. Parameters are averaged; buffers of every type are copied.

    Copying all buffers matters: an average that skips a boolean such as "statistics were seen" evaluates another
    function than the one that was trained.
    """

    def __init__(self, network: nn.Module) -> None:
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

    @abstractmethod
    def update(self, iteration: int, applied: bool | Tensor = True) -> None:
        """Follow the network after the update of `iteration`, unless that update was skipped.

        Args:
            iteration: the iteration just done, from 1.
            applied: whether the update took place; a boolean tensor is never read on the host.
        """

    def _copy_rest(self) -> None:
        if self._copies:
            LISTS._foreach_copy_(self._copies, self._originals)


class WeightAverage(Average):
    """The exponential moving average (EMA)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network)
        self.decay = decay

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
        if applied is not False:
            self._copy_rest()


class OptimizerAverage(Average):
    """The average that a schedule-free optimizer keeps between the lines; the weights that are trained stay in place.

    Such an optimizer takes gradients at y = (1 - beta) z + beta x, where z is the point that it moves and x the average
    of all z. It keeps y, the parameters, and z; x follows from them. Its own way to it is to overwrite y with x and to
    return afterwards, which changes the last bits of y, so that validating would change the training.

    Args:
        network: whose parameters the optimizer updates.
        optimizer: keeps z as `ANCHOR` in the state of every parameter, and beta as the first of its only group's
            `betas`.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer) -> None:
        super().__init__(network)
        (group,) = optimizer.param_groups
        self._optimizer, self._beta = optimizer, group["betas"][0]

    @torch.no_grad()
    def update(self, iteration: int, applied: bool | Tensor = True) -> None:  # noqa: ARG002
        """Compute the average from what the optimizer keeps; a skipped update has left that as it was."""
        state: Mapping[Any, Any] = self._optimizer.state
        # Before a parameter's first update there is no anchor: all three are one point.
        anchors = [state[source][ANCHOR] if source in state else source for source in self._sources]
        LISTS._foreach_copy_(self._averages, anchors)
        LISTS._foreach_lerp_(self._averages, self._sources, 1 / self._beta)
        self._copy_rest()
