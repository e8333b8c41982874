"""OmniSR (Wang et al., "Omni Aggregation Networks for Lightweight Image Super-Resolution", 2023)."""

from torch import nn

from traiNNer.archs.spandrel.kinds import Count
from traiNNer.archs.traits import Recipe, arch


@arch(
    scales=(1, 2, 3, 4),
    least_size=16,
    opens_as="OmniSR",
    license="Apache-2.0",
    recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8),
)
def omnisr(
    scale: int,
    num_in_ch: Count = 3,
    num_out_ch: Count = 3,
    num_feat: Count = 64,
    block_num: Count = 1,
    pe: bool = True,
    window_size: Count = 8,
    res_num: Count = 5,
    bias: bool = True,
) -> nn.Module:
    """OmniSR, attention over windows, grids and channels.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        num_feat: Channels of the body.
        block_num: Blocks in each group.
        pe: Learn a bias for each relative position in a window.
        window_size: Side of the windows in LQ pixels.
        res_num: Groups.
        bias: Give the convolutions a bias.
    """
    from spandrel.architectures.OmniSR import OmniSR

    return OmniSR(
        num_in_ch=num_in_ch,
        num_out_ch=num_out_ch,
        num_feat=num_feat,
        block_num=block_num,
        pe=pe,
        window_size=window_size,
        res_num=res_num,
        up_scale=scale,
        bias=bias,
    )
