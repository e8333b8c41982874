"""Changes in place that are done again when memory runs out before they have changed anything."""

import gc
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from traiNNer.engine.runtime.out_of_memory import is_out_of_memory

Act = Callable[[], Any]


def step_with_retry(step: Act, optimizer: Optimizer, release: Act) -> None:
    """Let an optimizer step, a second time if memory ran out before a parameter, gradient or moment was changed.

    Moments that the first attempt began are dropped. Torch's fused kernels count no versions of what they change. All
    but SGD's count the `step` of every parameter before; where SGD has one group, its kernel is all that happens.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    before = {parameter: dict(state) for parameter, state in optimizer.state.items()}
    groups = [dict(group) for group in optimizer.param_groups]
    is_silent = isinstance(optimizer, torch.optim.SGD) and optimizer.defaults["fused"] and len(groups) > 1

    def changes() -> float:
        moments = [value for state in optimizer.state.values() for value in state.values()]
        kept = [value for value in moments if isinstance(value, Tensor)]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        return math.nan if is_silent else changes_of([*parameters, *gradients, *kept])

    def undo() -> None:
        optimizer.state.clear()
        optimizer.state.update(before)
        for group, old in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(old)

    with_retry(step, changes, release, undo)


def changes_of(tensors: Iterable[Tensor]) -> int:
    """Return how often tensors were changed in place so far, all together."""
    return sum(tensor._version for tensor in tensors)


def with_retry(change: Act, changes: Callable[[], float], release: Act, undo: Act = lambda: None) -> None:
    """Change tensors in place, a second time if memory ran out before one of them was changed.

    Args:
        change: what is done.
        changes: how often the tensors were changed so far; NaN where that cannot be known.
        release: gives memory back before the second attempt.
        undo: removes what the first attempt left besides.

    Raises:
        RuntimeError, MemoryError: that of the first attempt when it had changed something, else of the second.
    """
    before = changes()
    try:
        change()
        return
    except (RuntimeError, MemoryError):
        if not is_out_of_memory(sys.exception()) or changes() != before:
            raise
    # Here the error is gone, and the tensors that its traceback kept alive.
    undo()
    gc.collect()
    release()
    change()
