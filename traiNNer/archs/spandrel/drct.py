"""DRCT (Hsu et al., "DRCT: Saving Image Super-Resolution away from Information Bottleneck", 2024)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, Counts, Ratio, only
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="DRCT",
    license="MIT",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=4),
)
def drct(
    scale: int,
    img_size: Count = 64,
    in_chans: Count = 3,
    embed_dim: Count = 180,
    depths: Counts = (6,) * 6,
    num_heads: Counts = (6,) * 6,
    window_size: Count = 16,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    drop_rate: Chance = 0.0,
    attn_drop_rate: Chance = 0.0,
    drop_path_rate: Chance = 0.0,
    ape: Annotated[bool, only(False)] = False,
    patch_norm: bool = True,
    img_range: Annotated[float, only(1)] = 1.0,
    resi_connection: Literal["1conv", "identity"] = "1conv",
    gc: Count = 32,
) -> nn.Module:
    """DRCT, densely connected attention layers inside windows. Images of other sizes are padded by reflection.

    Args:
        img_size: Side of the images, in LQ pixels, whose attention masks are kept; others are computed when they come.
        in_chans: Channels of the images.
        embed_dim: Channels of the body.
        depths: One number per group; the numbers themselves have no effect.
        num_heads: Attention heads in each group.
        window_size: Side of the windows in LQ pixels.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        drop_rate: Share of features that is dropped in training.
        attn_drop_rate: Share of attention weights that is dropped in training.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The authors
            took 0.1.
        ape: Learn an embedding of absolute positions.
        patch_norm: Normalize what the first convolution returns.
        img_range: Largest value of an image.
        resi_connection: End the body with a convolution, or with nothing.
        gc: Channels that each layer of a group adds.
    """
    from traiNNer.archs.spandrel.fixed import DRCT

    return DRCT(
        img_size=img_size,
        in_chans=in_chans,
        embed_dim=embed_dim,
        depths=depths,
        num_heads=num_heads,
        window_size=window_size,
        mlp_ratio=mlp_ratio,
        qkv_bias=qkv_bias,
        drop_rate=drop_rate,
        attn_drop_rate=attn_drop_rate,
        drop_path_rate=drop_path_rate,
        ape=ape,
        patch_norm=patch_norm,
        upscale=scale,
        img_range=img_range,
        upsampler="pixelshuffle",
        resi_connection=resi_connection,
        gc=gc,
    )


drct_l = variant("drct_l", drct, depths=(6,) * 12, num_heads=(6,) * 12)
drct_xl = variant("drct_xl", drct, depths=(6,) * 14, num_heads=(6,) * 14)
