"""SAFMN (Sun et al., "Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution", 2023)."""

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Ratio
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=8,
    opens_as="SAFMN",
    license="Apache-2.0",
    recipe=Recipe(lr=1e-3, lq_size=64, batch_size=8),
)
def safmn(scale: int, dim: Count = 36, n_blocks: Count = 8, ffn_scale: Ratio = 2.0) -> nn.Module:
    """SAFMN, convolutions modulated by features of four sizes of the image.

    Args:
        dim: Channels of the body, a multiple of 4.
        n_blocks: Blocks.
        ffn_scale: Channels inside the mixers as a multiple of `dim`.
    """
    from spandrel.architectures.SAFMN import SAFMN

    return SAFMN(dim=dim, n_blocks=n_blocks, ffn_scale=ffn_scale, upscaling_factor=scale)


safmn_l = variant("safmn_l", safmn, dim=128, n_blocks=16)
