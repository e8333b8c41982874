"""CRAFT (Li et al., "Feature Modulation Transformer: Cross-Refinement of Global Representation", 2023)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Counts, Ratio, only
from traiNNer.archs.traits import Recipe, arch


@arch(
    scales=(1, 2, 3, 4),
    least_size=16,
    opens_as="CRAFT",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
def craft(
    scale: int,
    in_chans: Count = 3,
    window_size: Annotated[int, only(16)] = 16,
    embed_dim: Count = 48,
    depths: Counts = (2,) * 4,
    num_heads: Counts = (6,) * 4,
    split_size_0: Count = 4,
    split_size_1: Count = 16,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    img_range: Annotated[float, only(1)] = 1.0,
    resi_connection: Literal["1conv", "identity"] = "1conv",
) -> nn.Module:
    """CRAFT, attention in two directions with high frequencies refined apart.

    Args:
        in_chans: Channels of the images.
        window_size: Multiple that images are padded to, in LQ pixels.
        embed_dim: Channels of the body.
        depths: Layers in each group.
        num_heads: Attention heads in each group.
        split_size_0: Shorter side of the windows in LQ pixels.
        split_size_1: Longer side of the windows in LQ pixels.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        img_range: Largest value of an image.
        resi_connection: End the body with a convolution, or with nothing.
    """
    from spandrel.architectures.CRAFT import CRAFT

    return CRAFT(
        in_chans=in_chans,
        window_size=window_size,
        embed_dim=embed_dim,
        depths=list(depths),
        num_heads=list(num_heads),
        split_size_0=split_size_0,
        split_size_1=split_size_1,
        mlp_ratio=mlp_ratio,
        qkv_bias=qkv_bias,
        upscale=scale,
        img_range=img_range,
        resi_connection=resi_connection,
    )
