"""DITN (Liu et al., "Unfolding Once is Enough: A Deployment-Friendly Transformer Unit", 2023)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Ratio, only
from traiNNer.archs.traits import Recipe, arch


@arch(
    scales=(1, 2, 3, 4),
    least_size=8,
    opens_as="DITN",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
def ditn_real(
    scale: int,
    inp_channels: Annotated[int, only(3)] = 3,
    dim: Count = 60,
    ITL_blocks: Count = 4,  # noqa: N803 - the community's spelling
    SAL_blocks: Count = 4,  # noqa: N803
    UFONE_blocks: Count = 1,  # noqa: N803
    ffn_expansion_factor: Ratio = 2.0,
    bias: bool = False,
    LayerNorm_type: Literal["WithBias", "BiasFree"] = "WithBias",  # noqa: N803
    patch_size: Annotated[int, only(8)] = 8,
) -> nn.Module:
    """DITN, attention inside patches and across them.

    Args:
        inp_channels: Channels of the images.
        dim: Channels of the body.
        ITL_blocks: Layers inside patches, in each group.
        SAL_blocks: Layers across patches, in each group.
        UFONE_blocks: Groups.
        ffn_expansion_factor: Channels inside the feed-forward layers as a multiple of `dim`.
        bias: Give the convolutions a bias.
        LayerNorm_type: Accepted for old option files; without effect.
        patch_size: Side of the patches in LQ pixels.
    """
    from spandrel.architectures.DITN import DITN

    return DITN(
        inp_channels=inp_channels,
        dim=dim,
        ITL_blocks=ITL_blocks,
        SAL_blocks=SAL_blocks,
        UFONE_blocks=UFONE_blocks,
        ffn_expansion_factor=ffn_expansion_factor,  # pyright: ignore[reportArgumentType] - spandrel gives it a quotient
        bias=bias,
        LayerNorm_type=LayerNorm_type,
        patch_size=patch_size,
        upscale=scale,
    )
