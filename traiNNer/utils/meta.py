"""Networks without memory: built on torch's meta device, where tensors have shapes and no numbers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _NumbersOnTheCpu(TorchFunctionMode):
    """Keep real what constructors read numbers from."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault("device", "cpu")
        return func(*args, **given)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Create every tensor inside on the meta device: networks of any size in no memory, and nothing is computed."""
    with torch.device("meta"), _NumbersOnTheCpu():
        yield


def parameter_count(network: nn.Module, trained: bool = True) -> int:
    """Return how many numbers a network has in its parameters, by default those that are trained."""
    return sum(part.numel() for part in network.parameters() if part.requires_grad or not trained)
