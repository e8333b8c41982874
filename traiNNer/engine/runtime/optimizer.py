"""What optimizers need: an update that the device decides about, and a state that is restored bit by bit."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from traiNNer.engine.runtime.dynamo import without_compiler

GROUP_STATE = ("step", "weight_sum", "lr_max")
"""What optimizers count in their groups, among the options: steps and, schedule-free, what an average is made of."""
MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")


def step_if(finite: Tensor, optimizer: Optimizer, read: bool) -> None:
    """Let the optimizer step unless `finite` is false; where it is not to be read, a fused optimizer decides itself."""
    if read or not optimizer.defaults.get("fused"):
        if bool(finite):
            with without_compiler():
                optimizer.step()
    else:
        # Fused optimizers look at `found_inf` on the device; it is how torch's own scaler skips an update.
        optimizer.grad_scale = None  # pyright: ignore[reportAttributeAccessIssue]
        optimizer.found_inf = (~finite).float()  # pyright: ignore[reportAttributeAccessIssue]
        with without_compiler():
            optimizer.step()


def group_state(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return what an optimizer has counted in each of its groups; most count in the state of a parameter."""
    return [{name: group[name] for name in GROUP_STATE if name in group} for group in optimizer.param_groups]


def restore_group_state(optimizer: Optimizer, counted: list[dict[str, Any]]) -> None:
    """Restore what `group_state` returned. What was not counted yet is removed, as it was then."""
    for group, state in zip(optimizer.param_groups, counted, strict=True):
        for name in GROUP_STATE:
            group.pop(name, None)
        group.update(state)


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer's state, with every moment in the memory format of its parameter.

    torch keeps the strides of the file, and its fused optimizers walk through memory without looking at strides.

    Raises:
        ValueError: a moment that the first step would need is missing, or is of another shape.
    """
    optimizer.load_state_dict(state)
    for group in optimizer.param_groups:
        _refuse_foreign_moments([(one, optimizer.state[one]) for one in group["params"] if optimizer.state.get(one)])
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _refuse_foreign_moments(moments: list[tuple[Tensor, dict[str, Any]]]) -> None:
    """Compare the moments of one group of parameters: those of one shape are treated alike by every optimizer."""
    first: dict[torch.Size, dict[str, Any]] = {}
    for parameter, found in moments:
        wanted = first.setdefault(parameter.shape, found)
        if found.keys() != wanted.keys():
            raise ValueError(f"moments {', '.join(map(str, found))} beside {', '.join(map(str, wanted))}")
        for name, value in found.items():
            fits = isinstance(value, Tensor) and value.shape == parameter.shape
            if name in MOMENTS and value is not None and not fits:
                raise ValueError(f"{name} does not fit its parameter")
            if name == "step" and not (isinstance(value, (int, float)) or getattr(value, "ndim", None) == 0):
                raise ValueError("step is not a number")
