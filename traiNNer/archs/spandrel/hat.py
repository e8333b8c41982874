"""HAT (Chen et al., "Activating More Pixels in Image Super-Resolution Transformer", 2023)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, Counts, Ratio, only
from traiNNer.archs.spandrel.recompute import recompute
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="HAT",
    license="MIT",
    recipe=Recipe(lr=1e-4, lq_size=64, batch_size=4),
)
def hat(
    scale: int,
    img_size: Count = 64,
    in_chans: Count = 3,
    embed_dim: Count = 180,
    depths: Counts = (6,) * 6,
    num_heads: Counts = (6,) * 6,
    window_size: Count = 16,
    compress_ratio: Count = 3,
    squeeze_factor: Count = 30,
    conv_scale: Annotated[float, only(0.01)] = 0.01,
    overlap_ratio: Ratio = 0.5,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    drop_rate: Chance = 0.0,
    attn_drop_rate: Chance = 0.0,
    drop_path_rate: Chance = 0.0,
    ape: Annotated[bool, only(False)] = False,
    patch_norm: bool = True,
    use_checkpoint: bool = False,
    img_range: Annotated[float, only(1)] = 1.0,
    resi_connection: Literal["1conv", "identity"] = "1conv",
    num_feat: Annotated[int, only(64)] = 64,
) -> nn.Module:
    """HAT, attention inside windows, over their borders, and over channels.

    Args:
        img_size: Side of the images, in LQ pixels, that the network is laid out for; others work.
        in_chans: Channels of the images.
        embed_dim: Channels of the body.
        depths: Layers in each group.
        num_heads: Attention heads in each group.
        window_size: Side of the windows in LQ pixels.
        compress_ratio: Channels of the body per channel inside the convolutions of a layer.
        squeeze_factor: Channels of the body per channel of the channel attention.
        conv_scale: Weight of these convolutions.
        overlap_ratio: How far windows see over their border, as a share of their side.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        drop_rate: Share of features that is dropped in training.
        attn_drop_rate: Share of attention weights that is dropped in training.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The authors
            took 0.1.
        ape: Learn an embedding of absolute positions.
        patch_norm: Normalize what the first convolution returns.
        use_checkpoint: Compute features twice, in the backward pass again, to save memory.
        img_range: Largest value of an image.
        resi_connection: End each group with a convolution, or with nothing.
        num_feat: Channels of the upsampler.
    """
    from spandrel.architectures.HAT import HAT

    network = HAT(
        img_size=img_size,
        in_chans=in_chans,
        embed_dim=embed_dim,
        depths=depths,
        num_heads=num_heads,
        window_size=window_size,
        compress_ratio=compress_ratio,
        squeeze_factor=squeeze_factor,
        conv_scale=conv_scale,
        overlap_ratio=overlap_ratio,
        mlp_ratio=mlp_ratio,
        qkv_bias=qkv_bias,
        drop_rate=drop_rate,
        attn_drop_rate=attn_drop_rate,
        drop_path_rate=drop_path_rate,
        ape=ape,
        patch_norm=patch_norm,
        upscale=scale,
        img_range=img_range,
        resi_connection=resi_connection,
        num_feat=num_feat,
    )
    return recompute(network, use_checkpoint)


hat_s = variant("hat_s", hat, embed_dim=144, compress_ratio=24, squeeze_factor=24)
hat_m = variant("hat_m", hat, depths=(6,) * 6, num_heads=(6,) * 6)
hat_l = variant("hat_l", hat, depths=(6,) * 12, num_heads=(6,) * 12)
hat_m_aligned = variant("hat_m_aligned", hat, embed_dim=192)
hat_l_aligned = variant("hat_l_aligned", hat, embed_dim=192, depths=(6,) * 12, num_heads=(6,) * 12)
