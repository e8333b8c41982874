"""FDAT (sharekhan, 2025): a fast dual attention network for images and video."""

import math
from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.frozen import freeze
from traiNNer.archs.spandrel.kinds import Chance, Count, Ratio, only
from traiNNer.archs.spanplus import DySample
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

GROUPS = 4
"""Groups of channels that `dysample` samples in places of their own."""
Upsampler = Literal[
    "conv", "pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample", "transpose+conv", "lda", "pa_up"
]


@arch(scales=(1, 2, 3, 4), least_size=8, opens_as="FDAT", license="MIT", recipe=Recipe(5e-4, 64, 8))
def fdat(
    scale: int,
    num_in_ch: Count = 3,
    num_out_ch: Count = 3,
    embed_dim: Count = 120,
    num_groups: Count = 4,
    depth_per_group: Count = 3,
    num_heads: Count = 4,
    window_size: Count = 8,
    ffn_expansion_ratio: Ratio = 2.0,
    aim_reduction_ratio: Count = 8,
    group_block_pattern: Annotated[None, only(None)] = None,
    drop_path_rate: Chance = 0.0,
    mid_dim: Count = 64,
    upsampler_type: Upsampler = "transpose+conv",
    img_range: Annotated[float, only(1)] = 1.0,
    unshuffle_mod: bool = False,
) -> nn.Module:
    """FDAT, attention over windows and over channels in turn.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        embed_dim: Channels of the body.
        num_groups: Groups.
        depth_per_group: Pairs of layers in each group.
        num_heads: Attention heads.
        window_size: Side of the windows in LQ pixels.
        ffn_expansion_ratio: Channels inside the feed-forward layers as a multiple of `embed_dim`.
        aim_reduction_ratio: Channels of the body per channel of the layers that join both attentions.
        group_block_pattern: The order of layers, which is fixed.
        drop_path_rate: Chance that a layer is skipped in training, for the last one; earlier ones less. The author
            took 0.05 to 0.1.
        mid_dim: Channels of the upsampler, with `dysample` a multiple of 4.
        upsampler_type: How the image is enlarged.
        img_range: Largest value of an image.
        unshuffle_mod: At scales 1 and 2 fold pixels into channels first, which is faster.
    """
    from spandrel.architectures.FDAT import FDAT

    network = FDAT(
        num_in_ch=num_in_ch,
        num_out_ch=num_out_ch,
        scale=scale,
        embed_dim=embed_dim,
        num_groups=num_groups,
        depth_per_group=depth_per_group,
        num_heads=num_heads,
        window_size=window_size,
        ffn_expansion_ratio=ffn_expansion_ratio,
        aim_reduction_ratio=aim_reduction_ratio,
        group_block_pattern=group_block_pattern,
        drop_path_rate=drop_path_rate,
        mid_dim=mid_dim,
        upsampler_type=upsampler_type,
        img_range=img_range,
        unshuffle_mod=unshuffle_mod,
    )
    last = network.upsampler[-1]
    if upsampler_type == "dysample" and not isinstance(last, nn.Conv2d):
        # spandrel's own asks for memory that only the driver of a GPU can give.
        offset = last.get_submodule("offset")
        assert isinstance(offset, nn.Conv2d)
        inside = math.isqrt(offset.out_channels // (2 * GROUPS))  # unshuffle_mod folds small scales
        network.upsampler[-1] = DySample(offset.in_channels, num_out_ch, inside, GROUPS)
    # Spatial and channel layers take turns, and each uses one of the two gates that it has.
    return freeze(network, r"\.blocks\.\d*[02468]\.inter\.sg\.|\.blocks\.\d*[13579]\.inter\.cg\.")


fdat_tiny = variant(
    "fdat_tiny", fdat, embed_dim=96, num_groups=2, depth_per_group=2, num_heads=3, ffn_expansion_ratio=1.5
)
fdat_light = variant("fdat_light", fdat, embed_dim=108, num_groups=3, depth_per_group=2)
fdat_medium = variant("fdat_medium", fdat, embed_dim=120)
fdat_medium_aligned = variant("fdat_medium_aligned", fdat, embed_dim=128)
fdat_large = variant("fdat_large", fdat, embed_dim=180, depth_per_group=4, num_heads=6)
fdat_xl = variant("fdat_xl", fdat, embed_dim=180, num_groups=6, depth_per_group=6, num_heads=6)
