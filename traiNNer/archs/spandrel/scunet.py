"""SCUNet (Zhang et al., "Practical Blind Image Denoising via Swin-Conv-UNet and Data Synthesis", 2023)."""

from typing import Annotated

from pydantic import Field
from torch import nn

from traiNNer.archs.spandrel.kinds import Chance, Count, only
from traiNNer.archs.traits import Recipe, arch


@arch(
    scales=(1,),
    least_size=40,
    opens_as="SCUNet",
    license="Apache-2.0",
    recipe=Recipe(lr=1e-4, lq_size=128, batch_size=4),
)
def scunet(
    scale: int,
    in_nc: Count = 3,
    config: Annotated[tuple[Count, ...], Field(min_length=7, max_length=7)] = (4,) * 7,
    dim: Count = 64,
    drop_path_rate: Chance = 0.0,
    input_resolution: Annotated[int, only(256)] = 256,
) -> nn.Module:
    """SCUNet, a U-shaped network of convolutions and attention inside windows. Restores at scale 1.

    Args:
        in_nc: Channels of the images.
        config: Blocks at each of the seven places, from full size down and up again.
        dim: Channels at full size, a multiple of 64; doubled at each smaller one.
        drop_path_rate: Chance that a block is skipped in training, for the last one; earlier ones less.
        input_resolution: Side of the images that the network is laid out for; others work.
    """
    from spandrel.architectures.SCUNet import SCUNet

    if scale != 1:
        raise ValueError(f"scunet restores at scale 1, not {scale}")
    return SCUNet(
        in_nc=in_nc, config=list(config), dim=dim, drop_path_rate=drop_path_rate, input_resolution=input_resolution
    )
