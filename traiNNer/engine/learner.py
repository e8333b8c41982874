"""A network that is trained, with everything that belongs to it alone."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, Knobs
from traiNNer.engine.norm_filter import NormFilter
from traiNNer.engine.runtime.optimizer import group_state, restore_group_state, restore_optimizer
from traiNNer.engine.weight_average import ANCHOR, EMA, Average
from traiNNer.models.protocol import MAIN

FIRST_MOMENTS = ("exp_avg", "momentum_buffer")
"""What optimizers call their running mean of the gradient."""
Weights = Mapping[str, Tensor]


class Learner:
    """A network with its optimizer, learning rate, EMA, and gradient-norm filter.

    Args:
        name: `net_g`, `net_d`, …: the prefix of weights files, log keys and knobs (those of `net_g` have none).
        network: on the device already.
        optimizer: of its parameters; the `lr` of its groups is the base learning rate.
        schedule: factor on the base learning rate by iteration (from 0), warm-up included.
        knobs: what automations may move.
        average: the average of the weights, or None.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        optimizer: Optimizer,
        schedule: Callable[[int], float],
        knobs: Knobs,
        average: Average | None = None,
    ) -> None:
        self.name = name
        self.network = network
        self.optimizer = optimizer
        self.average = average
        self.norm_filter = NormFilter()
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.buffers = list(network.buffers())
        self.knob_prefix = knob_prefix(name)
        self._schedule = schedule
        self._knobs = knobs
        self._base_rates = [group["lr"] for group in optimizer.param_groups]

    # Learning rate and limits: functions of the iteration and of the knobs

    def learning_rate(self, iteration: int, group: int = 0) -> float:
        """Return the learning rate of an iteration, counted from 0: the one that is applied, logged and reported."""
        return self._base_rates[group] * self._schedule(iteration) * self._knobs.rate(iteration, self.knob_prefix)

    def apply_learning_rate(self, iteration: int) -> None:
        """Set the learning rate of every parameter group to that of an iteration, counted from 0."""
        for place, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.learning_rate(iteration, place)

    @property
    def grad_clip(self) -> float:
        """The largest gradient norm; infinity does not clip."""
        return self._knobs[self.knob_prefix + GRAD_CLIP].at()

    @property
    def grad_skip(self) -> float:
        """The gradient norm beyond which an update is skipped."""
        return self._knobs[self.knob_prefix + GRAD_SKIP].at()

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the parameters that have one."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    # Weights and state

    @property
    def shipped(self) -> nn.Module:
        """The network that is validated and shipped: the averaged one where there is an average."""
        return self.average.network if self.average else self.network

    def weights(self) -> dict[str, Weights]:
        """Return the tensors to save, by role: `net_g`, and `net_g_ema` where there is an average."""
        averaged = {self.name + EMA: self.average.network.state_dict()} if self.average else {}
        return {self.name: self.network.state_dict(), **averaged}

    def load_weights(self, weights: Mapping[str, Weights]) -> None:
        """Take over what `weights` returned."""
        self.network.load_state_dict(weights[self.name])
        if self.average:
            self.average.network.load_state_dict(weights[self.name + EMA])

    def state_dict(self) -> dict[str, Any]:
        """Return what belongs to it besides the weights."""
        return {"optimizer": self.optimizer.state_dict(), "norm_filter": self.norm_filter.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. Hyperparameters of the option file win over the recorded ones."""
        given = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        restore_optimizer(self.optimizer, state["optimizer"])
        counted = group_state(self.optimizer)
        for group, options in zip(self.optimizer.param_groups, given, strict=True):
            group.update(options)
        restore_group_state(self.optimizer, counted)
        self.norm_filter.load_state_dict(state["norm_filter"])

    # Rollback

    def snapshot(self) -> dict[str, Any]:
        """Return copies of weights, optimizer state and average in host memory."""
        return {
            "network": host_copies(self.network.state_dict()),
            "optimizer": host_copies(self.optimizer.state_dict()["state"]),
            "groups": group_state(self.optimizer),
            "average": host_copies(self.average.network.state_dict()) if self.average else None,
        }

    @torch.no_grad()
    def roll_back(self, kept: Mapping[str, Any]) -> None:
        """Return to what `snapshot` returned; learning rates stay as they are."""
        self.network.load_state_dict(kept["network"])
        state = {"state": deepcopy(kept["optimizer"]), "param_groups": self.optimizer.state_dict()["param_groups"]}
        restore_optimizer(self.optimizer, state)
        restore_group_state(self.optimizer, kept["groups"])
        if self.average and kept["average"] is not None:
            self.average.network.load_state_dict(kept["average"])

    @torch.no_grad()
    def become_average(self) -> None:
        """Let the weights become their average and the optimizer's first moment zero, where there is an average."""
        if self.average is None:
            return
        self.network.load_state_dict(self.average.network.state_dict())
        for parameter, moments in self.optimizer.state.items():
            if ANCHOR in moments:
                moments[ANCHOR].copy_(parameter)  # else the average would be another one again
            for name in FIRST_MOMENTS:
                if isinstance(moments.get(name), Tensor):
                    moments[name].zero_()


def knob_prefix(name: str) -> str:
    """Return what a learner's knobs are called by: nothing for `net_g`, else `<name>.`."""
    return "" if name == MAIN else f"{name}."


def host_copies(value: Any) -> Any:
    """Return nested dictionaries and lists with every tensor copied to the host."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, list):
        return [host_copies(item) for item in value]
    return {key: host_copies(item) for key, item in value.items()} if isinstance(value, dict) else value
