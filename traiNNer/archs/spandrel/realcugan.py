"""Real-CUGAN (bilibili, 2022): the cascaded U-Nets of waifu2x, for drawings."""

from torch import nn

from traiNNer.archs.spandrel.kinds import Count
from traiNNer.archs.traits import Recipe, arch


@arch(scales=(2, 3, 4), least_size=32, opens_as="RealCUGAN", license="MIT", recipe=Recipe(1e-4, 64, 8))
def realcugan(
    scale: int, in_channels: Count = 3, out_channels: Count = 3, pro: bool = False, fast: bool = False
) -> nn.Module:
    """Real-CUGAN, two U-Nets one after the other.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        pro: Map 0 to 1 into 0.15 to 0.85 inside the network, as the `pro` models do.
        fast: Fold pixels into channels first; scale 2, without `pro`.
    """
    from spandrel.architectures.RealCUGAN import UpCunet2x, UpCunet2x_fast, UpCunet3x, UpCunet4x

    channels = {"in_channels": in_channels, "out_channels": out_channels}
    if fast:
        if scale != 2 or pro:
            raise ValueError("fast of realcugan is for scale 2 without pro")
        return UpCunet2x_fast(**channels)
    sizes = {2: UpCunet2x, 3: UpCunet3x, 4: UpCunet4x}
    if scale not in sizes:
        raise ValueError(f"realcugan is for scales 2, 3 and 4, not {scale}")
    return sizes[scale](**channels, pro=pro)
