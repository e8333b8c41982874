"""RCAN (Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", 2018)."""

from typing import Annotated

from torch import nn

from traiNNer.archs.spandrel.frozen import freeze
from traiNNer.archs.spandrel.kinds import Count, OddCount, only
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(2, 3, 4, 8),
    precisions=("fp32", "bf16"),
    opens_as="RCAN",
    license="MIT",
    recipe=Recipe(lr=1e-4, lq_size=48, batch_size=16),
)
def rcan(
    scale: int,
    n_resgroups: Count = 10,
    n_resblocks: Count = 20,
    n_feats: Count = 64,
    n_colors: Count = 3,
    rgb_range: Annotated[int, only(255)] = 255,
    norm: bool = False,
    kernel_size: OddCount = 3,
    reduction: Count = 16,
    res_scale: Annotated[float, only(1)] = 1.0,
    act_mode: Annotated[str, only("relu")] = "relu",
    unshuffle_mod: bool = False,
) -> nn.Module:
    """RCAN, residual groups of convolutions with channel attention.

    Args:
        n_resgroups: Residual groups.
        n_resblocks: Blocks in each group.
        n_feats: Channels of the body.
        n_colors: Channels of the images.
        rgb_range: Range in which `norm` counts.
        norm: Subtract the mean color of DIV2K and add it again, for RGB only. These two layers are not trained.
        kernel_size: Side of the convolutions, odd.
        reduction: Channels of the body per channel of the attention.
        res_scale: Factor of what a block adds.
        act_mode: Activation.
        unshuffle_mod: At scales 1 and 2 fold pixels into channels first, which is faster.
    """
    from traiNNer.archs.spandrel.fixed import RCAN

    network = RCAN(
        scale=scale,
        n_resgroups=n_resgroups,
        n_resblocks=n_resblocks,
        n_feats=n_feats,
        n_colors=n_colors,
        rgb_range=rgb_range,
        norm=norm,
        kernel_size=kernel_size,
        reduction=reduction,
        res_scale=res_scale,
        act_mode=act_mode,
        unshuffle_mod=unshuffle_mod,
    )
    return freeze(network, r"^(sub|add)_mean\.") if norm else network


rcan_l = variant("rcan_l", rcan, n_feats=96)
rcan_unshuffle = variant("rcan_unshuffle", rcan, unshuffle_mod=True, scales=(1, 2, 4))
