"""NAFNet (Chen et al., "Simple Baselines for Image Restoration", 2022): restoration at the size of the input."""

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Counts
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(
    scales=(1,),
    precisions=("fp32", "bf16"),
    opens_as="NAFNet",
    license="MIT",
    recipe=Recipe(lr=1e-3, lq_size=128, batch_size=8),
)
def nafnet(
    scale: int,
    img_channel: Count = 3,
    width: Count = 32,
    middle_blk_num: Count = 12,
    enc_blk_nums: Counts = (2, 2, 4, 8),
    dec_blk_nums: Counts = (2, 2, 2, 2),
) -> nn.Module:
    """NAFNet, a U-shaped network without activations. Restores at scale 1.

    Args:
        img_channel: Channels of the images.
        width: Channels at full size; doubled at each smaller one.
        middle_blk_num: Blocks at the smallest size.
        enc_blk_nums: Blocks at each size on the way down.
        dec_blk_nums: Blocks at each size on the way up, as many numbers.
    """
    from spandrel.architectures.NAFNet import NAFNet

    if scale != 1:
        raise ValueError(f"nafnet restores at scale 1, not {scale}")
    if len(enc_blk_nums) != len(dec_blk_nums):
        raise ValueError(f"enc_blk_nums has {len(enc_blk_nums)} sizes, dec_blk_nums has {len(dec_blk_nums)}")
    return NAFNet(
        img_channel=img_channel,
        width=width,
        middle_blk_num=middle_blk_num,
        enc_blk_nums=list(enc_blk_nums),
        dec_blk_nums=list(dec_blk_nums),
    )


nafnet32 = variant("nafnet32", nafnet, width=32)
nafnet64 = variant("nafnet64", nafnet, width=64)
