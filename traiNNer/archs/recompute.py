"""Activation checkpointing: blocks that keep no features for the backward pass and compute them again there."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

PLAIN = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


def recompute_blocks(network: nn.Module) -> int:
    """Let every block of a network compute its features twice in training; returns the number of blocks.

    A block is a module of several layers beside which there is another one of its class. Names, weights, random numbers
    and gradients stay as they are.
    """
    found = blocks(network)
    for block in found:
        let_recompute(block)
    return len(found)


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the innermost modules that are repeated in a list or sequence; where there are none, the outermost."""
    lists = [module for module in network.modules() if isinstance(module, (nn.ModuleList, nn.Sequential))]
    listed = _repeated(lists)
    if listed:
        chosen = set(map(id, listed))
        return [block for block in listed if not any(id(one) in chosen for one in list(block.modules())[1:])]
    found = _repeated(list(network.modules()))
    inside = {id(one) for block in found for one in list(block.modules())[1:]}
    return [block for block in found if id(block) not in inside]


def _repeated(parents: Sequence[nn.Module]) -> list[nn.Module]:
    """Return the children of several layers that have a brother or sister of their class, each once."""
    found: dict[int, nn.Module] = {}
    for parent in parents:
        children = [child for child in parent.children() if type(child) not in PLAIN and _layers(child) > 1]
        counts = Counter(map(type, children))
        found |= {id(child): child for child in children if counts[type(child)] > 1}
    return list(found.values())


def _layers(module: nn.Module) -> int:
    """Return how many modules with weights of their own are in a module."""
    return sum(bool(list(one.parameters(recurse=False))) for one in module.modules())


def let_recompute(block: nn.Module) -> None:
    """Let one block compute its features twice in training."""
    block.__class__ = _recomputing(type(block))


@cache
def _recomputing(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(block: nn.Module, *inputs: Any, **named: Any) -> Any:
        if not (block.training and torch.is_grad_enabled()):
            return kind.forward(block, *inputs, **named)
        contexts = partial(_contexts, block)
        run: Callable[..., Any] = partial(kind.forward, block)
        return checkpoint(run, *inputs, use_reentrant=False, context_fn=contexts, **named)

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    buffers = [(module, name, value.clone()) for module, name, value in _moving(block)]
    return nullcontext(), _as_before(buffers)


def _moving(block: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    """Return the buffers that a forward may change: statistics, and flags that say whether there are any."""
    return [
        (module, name, value)
        for module in block.modules()
        for name, value in module.named_buffers(recurse=False)
        if value.is_floating_point() or value.dtype in (torch.bool, torch.int64)
    ]


@contextmanager
def _as_before(buffers: list[tuple[nn.Module, str, Tensor]]) -> Iterator[None]:
    """Compute again with the buffers of the first time; what moves then is forgotten."""
    present = [module._buffers[name] for module, name, _ in buffers]
    for module, name, value in buffers:
        module._buffers[name] = value
    try:
        yield
    finally:
        for (module, name, _), value in zip(buffers, present, strict=True):
            module._buffers[name] = value
