"""Blocks that keep no features for the backward pass and compute them again there: less memory for more time."""

import re
from functools import cache
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

BLOCKS = r"\bblocks\.\d+$"


def recompute(network: nn.Module, wanted: bool = True) -> nn.Module:
    """Let every block of a transformer compute its features twice if `wanted`, and return the network.

    The switches of spandrel's classes are left off: some have no effect, and the others use the old form of
    `torch.utils.checkpoint`, which cannot give gradients to chosen parameters alone, as a training step asks for.

    Raises:
        LookupError: the network has no blocks, so the class is not what it was.
    """
    if not wanted:
        return network
    found = [block for name, block in network.named_modules() if re.search(BLOCKS, name)]
    if not found:
        raise LookupError(f"{type(network).__name__} has no blocks")
    for block in found:
        block.__class__ = _recomputing(type(block))
    return network


@cache
def _recomputing(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(block: nn.Module, *inputs: Any) -> Any:
        return checkpoint(kind.forward, block, *inputs, use_reentrant=False)

    return type(kind.__name__, (kind,), {"forward": forward})
