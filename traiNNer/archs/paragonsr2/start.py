"""How a new ParagonSR2 begins to train."""

from typing import Literal

import torch
from torch import nn

from traiNNer.archs.paragonsr2.layers import HRBlock, LayerScale, ParagonBlock

Start = Literal["identity", "published"]
SCALE, DEEPEST = 0.1, 18
"""Layer scale of a network that starts from identity, and the blocks up to which it holds, as in CaiT (Touvron et al.
2021); deeper networks keep the published one, or their features would grow without bound."""


@torch.no_grad()
def start_from_identity(network: nn.Module, convs: tuple[nn.Conv2d, ...], out: nn.Conv2d, fuse: nn.Conv2d) -> None:
    """Make an untrained network pass the image through its upsampler: what is left to learn is the difference.

    The published start puts nearly all of the gradient into a few convolutions that move the mean brightness, and its
    layer scales of 1e-5 keep the body silent for hundreds of iterations.

    Args:
        network: all of it.
        convs: those that the image passes on its way; its channels go through the first ones unchanged.
        out: the last convolution, which reads those channels alone.
        fuse: ends the branch that starts silent.
    """
    images = out.out_channels
    for conv in convs:
        _pass_through(conv, images)
    for conv in (out, fuse, *(block.conv2 for block in network.modules() if isinstance(block, HRBlock))):
        nn.init.zeros_(conv.weight)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    _pass_through(out, images)
    if sum(isinstance(module, ParagonBlock) for module in network.modules()) <= DEEPEST:
        for scale in [module for module in network.modules() if isinstance(module, LayerScale)]:
            scale.gamma.fill_(SCALE)


def _pass_through(conv: nn.Conv2d, channels: int) -> None:
    """Let the first channels through unchanged; the others stay as they are."""
    conv.weight[:channels] = 0
    row, column = (side // 2 for side in conv.kernel_size)
    for channel in range(channels):
        conv.weight[channel, channel, row, column] = 1
    if conv.bias is not None:
        conv.bias[:channels] = 0
