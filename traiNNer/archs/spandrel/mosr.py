"""MoSR (umzi, 2024): gated convolutions, after MambaOut."""

from typing import Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, OddCount, Ratio
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

UPSAMPLERS = {"pixelshuffle": "ps", "dysample": "dys", "geoensemblepixelshuffle": "gps"}
"""What the community calls an upsampler, and what spandrel does."""


@arch(scales=(1, 2, 3, 4), opens_as="MoSR", license="MIT", recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8))
def mosr(
    scale: int,
    in_ch: Count = 3,
    out_ch: Count = 3,
    n_block: Count = 24,
    dim: Count = 64,
    upsampler: Literal["pixelshuffle", "dysample", "geoensemblepixelshuffle", "ps", "dys", "gps"] = "pixelshuffle",
    drop_path: Chance = 0.0,
    kernel_size: OddCount = 7,
    expansion_ratio: Ratio = 1.5,
    conv_ratio: Ratio = 1.0,
) -> nn.Module:
    """MoSR, gated convolutions.

    Args:
        in_ch: Channels of the input.
        out_ch: Channels of the output; other than `in_ch` only with `dysample`.
        n_block: Blocks.
        dim: Channels of the body.
        upsampler: How the image is enlarged; `ps`, `dys` and `gps` are short for the others.
        drop_path: Chance that a block is skipped in training, for the last one; earlier ones less.
        kernel_size: Side of the convolutions, odd.
        expansion_ratio: Channels inside a block as a multiple of `dim`.
        conv_ratio: Share of them that is convolved.
    """
    from spandrel.architectures.MoSR import MoSR

    return MoSR(
        in_ch=in_ch,
        out_ch=out_ch,
        upscale=scale,
        n_block=n_block,
        dim=dim,
        upsampler=UPSAMPLERS.get(upsampler, upsampler),
        drop_path=drop_path,
        kernel_size=kernel_size,
        expansion_ratio=expansion_ratio,
        conv_ratio=conv_ratio,
    )


mosr_t = variant("mosr_t", mosr, n_block=5, dim=48)
