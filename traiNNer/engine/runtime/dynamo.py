"""torch's compiler is not imported for a run that compiles nothing: that alone takes longer than everything else.

torch's optimizers import it for two things that mean nothing outside of a compiled function: methods that are marked as
not to be compiled, and for a break in the graph around every step.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch.optim import Optimizer

NAME = "torch._dynamo"
MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
"""Methods of torch's optimizers that import the compiler when they are first called, only to be left out of it."""


class _Idle(ModuleType):
    """Stands for the compiler while nothing is compiled; whoever asks for more than that gets the real one."""

    @staticmethod
    def graph_break(*_: Any, **__: Any) -> None:
        """Do nothing, as there is no graph."""

    def __getattr__(self, name: str) -> Any:
        _take_away(self)
        return getattr(import_module(NAME), name)


def leave_compiler_out() -> None:
    """Let the methods of torch's optimizers work without the compiler; where torch has changed, nothing happens."""
    for name in MARKED:
        inner = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if inner is not None and not hasattr(inner, "__dynamo_disable"):
            setattr(inner, "__dynamo_disable", inner)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Run a step of an optimizer without importing the compiler, unless it is there already."""
    if NAME in sys.modules:
        yield
        return
    idle = _Idle(NAME)
    sys.modules[NAME] = idle
    setattr(torch, "_dynamo", idle)  # noqa: B010 - it is not declared
    try:
        yield
    finally:
        _take_away(idle)


def _take_away(idle: ModuleType) -> None:
    if sys.modules.get(NAME) is idle:
        del sys.modules[NAME]
        with suppress(AttributeError):
            delattr(torch, "_dynamo")
