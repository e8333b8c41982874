"""RealPLKSR (dslisleedh, Philip Hofmann and neosr, 2024), a PLKSR for images as they are found."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, OddCount, Share, only
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(1, 2, 3, 4),
    opens_as="PLKSR",
    license="MIT",
    recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8),
)
def realplksr(
    scale: int,
    dim: Count = 64,
    n_blocks: Count = 28,
    kernel_size: OddCount = 17,
    split_ratio: Share = 0.25,
    use_ea: bool = True,
    norm_groups: Annotated[int, only(4)] = 4,
    dropout: Chance = 0.0,
    upsampler: Literal["pixelshuffle", "dysample"] = "pixelshuffle",
    layer_norm: bool = True,
) -> nn.Module:
    """RealPLKSR, blocks in which a part of the channels passes a large kernel.

    Args:
        dim: Channels of the body.
        n_blocks: Blocks.
        kernel_size: Side of the large kernels, odd.
        split_ratio: Share of the channels that pass the large kernel.
        use_ea: Give each block an element-wise attention.
        norm_groups: Groups of the group normalization.
        dropout: Share of features that is dropped in training.
        upsampler: How the image is enlarged: `pixelshuffle`, or `dysample`, which learns where to sample.
        layer_norm: Normalize over channels in each block; else over groups of them.
    """
    from traiNNer.archs.spandrel.fixed import RealPLKSR

    return RealPLKSR(
        dim=dim,
        n_blocks=n_blocks,
        upscaling_factor=scale,
        kernel_size=kernel_size,
        split_ratio=split_ratio,
        use_ea=use_ea,
        norm_groups=norm_groups,
        dropout=dropout,
        dysample=upsampler == "dysample",
        layer_norm=layer_norm,
    )


realplksr_tiny = variant("realplksr_tiny", realplksr, n_blocks=12, kernel_size=13, use_ea=False)
realplksr_large = variant("realplksr_large", realplksr, dim=96)
