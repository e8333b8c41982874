"""The option `use_checkpoint` of some transformers of spandrel."""

import re

from torch import nn

from traiNNer.archs.recompute import let_recompute

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
        let_recompute(block)
    return network
