"""DAT (Chen et al., "Dual Aggregation Transformer for Image Super-Resolution", 2023)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, Counts, Pair, Ratio, only
from traiNNer.archs.spandrel.recompute import recompute
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="DAT",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=4),
)
def dat(
    scale: int,
    img_size: Count = 64,
    in_chans: Count = 3,
    img_range: Annotated[float, only(1)] = 1.0,
    split_size: Pair = (8, 32),
    depth: Counts = (6,) * 6,
    embed_dim: Count = 180,
    num_heads: Counts = (6,) * 6,
    expansion_factor: Ratio = 4.0,
    resi_connection: Literal["1conv", "3conv"] = "1conv",
    qkv_bias: bool = True,
    drop_rate: Chance = 0.0,
    attn_drop_rate: Chance = 0.0,
    drop_path_rate: Chance = 0.0,
    use_chk: bool = False,
    upsampler: Literal["pixelshuffle", "pixelshuffledirect"] = "pixelshuffle",
) -> nn.Module:
    """DAT, attention over windows and over channels in turn. Has batch normalization: train with two images or more.

    Args:
        img_size: Side of the images, in LQ pixels, whose attention masks are kept; others are computed when they come.
        in_chans: Channels of the images.
        img_range: Largest value of an image.
        split_size: Height and width of the windows in LQ pixels.
        depth: Layers in each group.
        embed_dim: Channels of the body.
        num_heads: Attention heads in each group.
        expansion_factor: Channels inside the perceptrons as a multiple of `embed_dim`.
        resi_connection: Convolutions at the end of each group.
        qkv_bias: Give queries, keys and values a bias.
        drop_rate: Share of features that is dropped in training.
        attn_drop_rate: Share of attention weights that is dropped in training.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The authors
            took 0.1.
        use_chk: Compute features twice, in the backward pass again, to save memory.
        upsampler: How the image is enlarged.
    """
    from spandrel.architectures.DAT import DAT

    network = DAT(
        img_size=img_size,
        in_chans=in_chans,
        embed_dim=embed_dim,
        split_size=list(split_size),
        depth=list(depth),
        num_heads=list(num_heads),
        expansion_factor=expansion_factor,
        qkv_bias=qkv_bias,
        drop_rate=drop_rate,
        attn_drop_rate=attn_drop_rate,
        drop_path_rate=drop_path_rate,
        upscale=scale,
        img_range=img_range,
        resi_connection=resi_connection,
        upsampler=upsampler,
    )
    return recompute(network, use_chk)


dat_s = variant("dat_s", dat, split_size=(8, 16), expansion_factor=2.0)
dat_2 = variant("dat_2", dat, expansion_factor=2.0)
dat_2_l = variant("dat_2_l", dat, expansion_factor=2.0, depth=(6,) * 12, num_heads=(6,) * 12)
dat_light = variant(
    "dat_light", dat, depth=(18,), embed_dim=60, num_heads=(6,), expansion_factor=2.0, resi_connection="3conv"
)
