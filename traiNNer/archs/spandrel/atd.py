"""ATD (Zhang et al., "Transcending the Limit of Local Window", 2024)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Counts, OddCount, Ratio, only
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="ATD",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=4),
)
def atd(
    scale: int,
    img_size: Count = 96,
    in_chans: Count = 3,
    embed_dim: Count = 210,
    depths: Counts = (6,) * 6,
    num_heads: Counts = (6,) * 6,
    window_size: Count = 16,
    category_size: Literal[128, 256] = 256,
    num_tokens: Count = 128,
    reducted_dim: Count = 20,
    convffn_kernel_size: OddCount = 5,
    img_range: Annotated[float, only(1)] = 1.0,
    mlp_ratio: Ratio = 2.0,
    qkv_bias: bool = True,
    norm: bool = True,
    upsampler: Literal["pixelshuffle", "pixelshuffledirect", "nearest+conv"] = "pixelshuffle",
    resi_connection: Literal["1conv", "3conv"] = "1conv",
) -> nn.Module:
    """ATD, attention inside windows, to a learned dictionary, and among pixels of one category.

    Args:
        img_size: Side of the images, in LQ pixels, that the network is laid out for; others work.
        in_chans: Channels of the images.
        embed_dim: Channels of the body.
        depths: Layers in each group.
        num_heads: Attention heads in each group.
        window_size: Side of the windows in LQ pixels.
        category_size: Pixels of a category that are compared at once. No weights file records it: 128 with
            `embed_dim` 48 and `pixelshuffledirect`, which is `atd_light`, and else 256.
        num_tokens: Entries of the dictionary.
        reducted_dim: Channels in which pixels and entries are compared.
        convffn_kernel_size: Side of the convolutions in the perceptrons, odd.
        img_range: Largest value of an image.
        mlp_ratio: Channels inside the perceptrons as a multiple of `embed_dim`.
        qkv_bias: Give queries, keys and values a bias.
        norm: Subtract the mean color of DIV2K.
        upsampler: How the image is enlarged; `nearest+conv` at scale 4 only.
        resi_connection: Convolutions at the end of each group.
    """
    from spandrel.architectures.ATD import ATD

    recorded = 128 if embed_dim == 48 and upsampler == "pixelshuffledirect" else 256
    if category_size != recorded:
        raise ValueError(
            f"category_size must be {recorded} with embed_dim {embed_dim} and upsampler {upsampler}: no weights file "
            "records it, so another value would not come back"
        )
    if upsampler == "nearest+conv" and scale != 4:
        raise ValueError(f"upsampler nearest+conv of atd is for scale 4, not {scale}")
    return ATD(
        img_size=img_size,
        in_chans=in_chans,
        embed_dim=embed_dim,
        depths=depths,
        num_heads=num_heads,
        window_size=window_size,
        category_size=category_size,
        num_tokens=num_tokens,
        reducted_dim=reducted_dim,
        convffn_kernel_size=convffn_kernel_size,
        mlp_ratio=mlp_ratio,
        qkv_bias=qkv_bias,
        upscale=scale,
        img_range=img_range,
        upsampler=upsampler,
        resi_connection=resi_connection,
        norm=norm,
    )


atd_light = variant(
    "atd_light",
    atd,
    img_size=64,
    embed_dim=48,
    depths=(6,) * 4,
    num_heads=(6,) * 4,
    category_size=128,
    num_tokens=64,
    reducted_dim=8,
    convffn_kernel_size=7,
    mlp_ratio=1.0,
    upsampler="pixelshuffledirect",
    scales=(2, 3, 4),
)
