"""A run's weights, optimiser and average as they were a while ago, kept in memory to return to."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from traiNNer.engine.runtime import Runtime
from traiNNer.engine.weight_average import WeightAverage


class Snapshot:
    """Takes and restores one snapshot at a time; it lies in the host's memory and in the training state."""

    def __init__(
        self, network: nn.Module, optimizer: Optimizer, average: WeightAverage | None, runtime: Runtime
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.average = average
        self.runtime = runtime
        self.kept: dict[str, Any] | None = None

    def take(self) -> None:
        """Keep the present state, in place of the one before."""
        self.kept = {
            "network": _copies(self.network.state_dict()),
            "optimizer": _copies(self.optimizer.state_dict()["state"]),
            "average": _copies(self.average.network.state_dict()) if self.average else None,
        }

    @torch.no_grad()
    def restore(self) -> bool:
        """Return to what was kept; False when there is nothing. Learning rates and iteration stay as they are."""
        if self.kept is None:
            return False
        self.network.load_state_dict(self.kept["network"])
        state = {"state": deepcopy(self.kept["optimizer"]), "param_groups": self.optimizer.state_dict()["param_groups"]}
        if not state["state"]:
            self.optimizer.state.clear()  # it was kept before the first update
        self.runtime.restore_optimizer(self.optimizer, state)
        if self.average and self.kept["average"] is not None:
            self.average.network.load_state_dict(self.kept["average"])
        return True


@contextmanager
def undone(network: nn.Module, optimizer: Optimizer, runtime: Runtime) -> Iterator[None]:
    """Run a block that trains, and take everything back afterwards: weights, moments, random numbers, fp16 scale."""
    before, draws = Snapshot(network, optimizer, None, runtime), runtime.draws()
    scale = runtime.scaler.state_dict() if runtime.scaler else None
    before.take()
    yield
    before.restore()
    runtime.redraw(draws)
    if runtime.scaler and scale:
        runtime.scaler.load_state_dict(scale)


def _copies(value: Any) -> Any:
    """Return nested dictionaries with every tensor copied to the host."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    return {key: _copies(item) for key, item in value.items()} if isinstance(value, dict) else value
