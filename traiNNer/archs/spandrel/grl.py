"""GRL (Li et al., "Efficient and Explicit Modelling of Image Hierarchies for Image Restoration", 2023)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, Counts, Pair, Ratio, only
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="GRL",
    license="MIT",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=4),
)
def grl(
    scale: int,
    img_size: Count = 64,
    in_channels: Count = 3,
    out_channels: Count = 3,
    embed_dim: Count = 180,
    img_range: Annotated[float, only(1)] = 1.0,
    upsampler: Literal["pixelshuffle", "pixelshuffledirect"] = "pixelshuffle",
    depths: Counts = (4, 4, 8, 8, 8, 4, 4),
    num_heads_window: Counts = (3,) * 7,
    num_heads_stripe: Counts = (3,) * 7,
    window_size: Annotated[int, only(32)] = 32,
    stripe_size: Annotated[Pair, only((64, 64))] = (64, 64),
    stripe_shift: Annotated[bool, only(True)] = True,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    qkv_proj_type: Literal["linear", "separable_conv"] = "linear",
    anchor_window_down_factor: Annotated[int, only(4)] = 4,
    local_connection: bool = True,
    drop_rate: Chance = 0.0,
    attn_drop_rate: Chance = 0.0,
    drop_path_rate: Chance = 0.0,
    conv_type: Literal["1conv", "3conv", "1conv1x1"] = "1conv",
) -> nn.Module:
    """GRL, attention inside windows, inside stripes by way of anchors, and over channels.

    Args:
        img_size: Side of the images, in LQ pixels, that the network is laid out for; others work.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        embed_dim: Channels of the body.
        img_range: Largest value of an image.
        upsampler: How the image is enlarged.
        depths: Layers in each group.
        num_heads_window: Heads of the attention inside windows, in each group.
        num_heads_stripe: Heads of the attention inside stripes, in each group.
        window_size: Side of the windows in LQ pixels.
        stripe_size: Height and width of the stripes in LQ pixels.
        stripe_shift: Shift the stripes in every other layer.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        qkv_proj_type: What computes them.
        anchor_window_down_factor: How many times smaller the anchors are.
        local_connection: Add a convolution with channel attention to each layer.
        drop_rate: Share of features that is dropped in training.
        attn_drop_rate: Share of attention weights that is dropped in training.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The authors
            took 0.1.
        conv_type: What ends each group.
    """
    from spandrel.architectures.GRL import GRL

    return GRL(
        img_size=img_size,
        in_channels=in_channels,
        out_channels=out_channels,
        embed_dim=embed_dim,
        upscale=scale,
        img_range=img_range,
        upsampler=upsampler,
        depths=list(depths),
        num_heads_window=list(num_heads_window),
        num_heads_stripe=list(num_heads_stripe),
        window_size=window_size,
        stripe_size=list(stripe_size),
        stripe_shift=stripe_shift,
        mlp_ratio=mlp_ratio,
        qkv_bias=qkv_bias,
        qkv_proj_type=qkv_proj_type,
        anchor_window_down_factor=anchor_window_down_factor,
        local_connection=local_connection,
        drop_rate=drop_rate,
        attn_drop_rate=attn_drop_rate,
        drop_path_rate=drop_path_rate,
        conv_type=conv_type,
    )


SMALL = {"depths": (4,) * 4, "num_heads_window": (2,) * 4, "num_heads_stripe": (2,) * 4, "local_connection": False}
grl_t = variant("grl_t", grl, embed_dim=64, upsampler="pixelshuffledirect", scales=(2, 3, 4), **SMALL)
grl_s = variant("grl_s", grl, embed_dim=128, **SMALL)
grl_b = variant("grl_b", grl, embed_dim=180)
