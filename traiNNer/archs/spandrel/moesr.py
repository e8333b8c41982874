"""MoESR (umzi, 2024): groups of gated convolutions."""

from typing import Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Ratio
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Upsampler = Literal["conv", "pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample"]


@arch(scales=(1, 2, 3, 4), least_size=2, opens_as="MoESR", license="MIT", recipe=Recipe(5e-4, 64, 8))
def moesr2(
    scale: int,
    in_ch: Count = 3,
    out_ch: Count = 3,
    dim: Count = 64,
    n_blocks: Count = 9,
    n_block: Count = 4,
    expansion_factor: Ratio = 8 / 3,
    expansion_msg: Ratio = 1.5,
    upsampler: Upsampler = "pixelshuffledirect",
    upsample_dim: Count = 64,
) -> nn.Module:
    """MoESR, groups of gated convolutions.

    Args:
        in_ch: Channels of the input.
        out_ch: Channels of the output.
        dim: Channels of the body.
        n_blocks: Groups.
        n_block: Blocks in each group.
        expansion_factor: Channels inside a block as a multiple of `dim`.
        expansion_msg: The same for the gate that ends a group.
        upsampler: How the image is enlarged.
        upsample_dim: Channels at the size of the output, where the upsampler has layers there.
    """
    from spandrel.architectures.MoESR import MoESR

    return MoESR(
        in_ch=in_ch,
        out_ch=out_ch,
        scale=scale,
        dim=dim,
        n_blocks=n_blocks,
        n_block=n_block,
        expansion_factor=expansion_factor,
        expansion_msg=expansion_msg,
        upsampler=upsampler,
        upsample_dim=upsample_dim,
    )


moesr = variant("moesr", moesr2, about="moesr2 by its other name.")
