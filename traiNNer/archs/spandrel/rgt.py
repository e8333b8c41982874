"""RGT (Chen et al., "Recursive Generalization Transformer for Image Super-Resolution", 2024)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, Counts, Pair, Ratio, Share, only
from traiNNer.archs.spandrel.recompute import recompute
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="RGT",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=4),
)
def rgt(
    scale: int,
    img_size: Count = 64,
    in_chans: Count = 3,
    embed_dim: Count = 180,
    depth: Counts = (6,) * 8,
    num_heads: Counts = (6,) * 8,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    drop_rate: Chance = 0.0,
    attn_drop_rate: Chance = 0.0,
    drop_path_rate: Chance = 0.0,
    use_chk: bool = False,
    img_range: Annotated[float, only(1)] = 1.0,
    resi_connection: Literal["1conv", "3conv"] = "1conv",
    split_size: Pair = (8, 32),
    c_ratio: Share = 0.5,
) -> nn.Module:
    """RGT, attention over windows and over a small summary of the whole image in turn.

    Args:
        img_size: Side of the images, in LQ pixels, whose attention masks are kept; others are computed when they come.
        in_chans: Channels of the images.
        embed_dim: Channels of the body.
        depth: Layers in each group.
        num_heads: Attention heads in each group.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        drop_rate: Share of features that is dropped in training.
        attn_drop_rate: Share of attention weights that is dropped in training.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The authors
            took 0.1.
        use_chk: Compute features twice, in the backward pass again, to save memory.
        img_range: Largest value of an image.
        resi_connection: Convolutions at the end of each group.
        split_size: Height and width of the windows in LQ pixels.
        c_ratio: Channels of the summary as a share of `embed_dim`.
    """
    from spandrel.architectures.RGT import RGT

    network = RGT(
        img_size=img_size,
        in_chans=in_chans,
        embed_dim=embed_dim,
        depth=list(depth),
        num_heads=list(num_heads),
        mlp_ratio=mlp_ratio,
        qkv_bias=qkv_bias,
        drop_rate=drop_rate,
        attn_drop_rate=attn_drop_rate,
        drop_path_rate=drop_path_rate,
        upscale=scale,
        img_range=img_range,
        resi_connection=resi_connection,
        split_size=list(split_size),
        c_ratio=c_ratio,
    )
    return recompute(network, use_chk)


rgt_s = variant("rgt_s", rgt, depth=(6,) * 6, num_heads=(6,) * 6)
