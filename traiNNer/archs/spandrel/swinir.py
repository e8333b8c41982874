"""SwinIR (Liang et al., "SwinIR: Image Restoration Using Swin Transformer", 2021)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, Counts, Ratio, only
from traiNNer.archs.spandrel.recompute import recompute
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(1, 2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="SwinIR",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=48, batch_size=8),
)
def swinir(
    scale: int,
    img_size: Count = 64,
    in_chans: Count = 3,
    embed_dim: Count = 180,
    depths: Counts = (6,) * 6,
    num_heads: Counts = (6,) * 6,
    window_size: Count = 8,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    drop_rate: Chance = 0.0,
    attn_drop_rate: Chance = 0.0,
    drop_path_rate: Chance = 0.0,
    ape: Annotated[bool, only(False)] = False,
    patch_norm: bool = True,
    use_checkpoint: bool = False,
    img_range: Annotated[float, only(1)] = 1.0,
    upsampler: Literal["pixelshuffle", "pixelshuffledirect", "nearest+conv", ""] = "pixelshuffle",
    resi_connection: Literal["1conv", "3conv"] = "1conv",
) -> nn.Module:
    """SwinIR, attention inside shifted windows.

    Args:
        img_size: Side of the images, in LQ pixels, whose attention masks are kept; others are computed when they come.
        in_chans: Channels of the images.
        embed_dim: Channels of the body.
        depths: Layers in each group.
        num_heads: Attention heads in each group.
        window_size: Side of the windows in LQ pixels.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        drop_rate: Share of features that is dropped in training.
        attn_drop_rate: Share of attention weights that is dropped in training.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The authors
            took 0.1; it helps classification, and hurts upscaling.
        ape: Learn an embedding of absolute positions.
        patch_norm: Normalize what the first convolution returns.
        use_checkpoint: Compute features twice, in the backward pass again, to save memory.
        img_range: Largest value of an image.
        upsampler: How the image is enlarged; "" restores at scale 1.
        resi_connection: Convolutions at the end of each group.
    """
    from spandrel.architectures.SwinIR import SwinIR

    network = SwinIR(
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
        upsampler=upsampler,
        resi_connection=resi_connection,
    )
    return recompute(network, use_checkpoint)


swinir_s = variant(
    "swinir_s",
    swinir,
    embed_dim=60,
    depths=(6,) * 4,
    num_heads=(6,) * 4,
    upsampler="pixelshuffledirect",
    scales=(1, 2, 3, 4),
)
swinir_m = variant("swinir_m", swinir, img_size=48)
swinir_l = variant(
    "swinir_l",
    swinir,
    embed_dim=240,
    depths=(6,) * 9,
    num_heads=(8,) * 9,
    upsampler="nearest+conv",
    resi_connection="3conv",
    scales=(2, 4, 8),
)
