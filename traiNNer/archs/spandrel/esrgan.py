"""ESRGAN (Wang et al., 2018): residual-in-residual dense blocks (RRDB), the network of Real-ESRGAN too."""

from torch import nn

from traiNNer.archs.spandrel.kinds import Count
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


# Not 3x: spandrel reads the scale from the number of upsampling layers, and would open it as 2x.
@arch(
    scales=(1, 2, 4, 8),
    least_size=4,
    opens_as="ESRGAN",
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
def esrgan(
    scale: int,
    use_pixel_unshuffle: bool = True,
    in_nc: Count = 3,
    out_nc: Count = 3,
    num_filters: Count = 64,
    num_blocks: Count = 23,
    plus: bool = False,
) -> nn.Module:
    """ESRGAN, residual-in-residual dense blocks.

    Args:
        use_pixel_unshuffle: At scales 1 and 2 fold pixels into channels first, as Real-ESRGAN does; several times
            faster.
        in_nc: Channels of the input.
        out_nc: Channels of the output.
        num_filters: Channels of the body.
        num_blocks: Blocks.
        plus: Add the 1 x 1 convolutions of ESRGAN+.
    """
    from spandrel.architectures.ESRGAN import ESRGAN

    fold = 4 // scale if use_pixel_unshuffle and scale < 3 else None
    return ESRGAN(
        in_nc=in_nc * (fold or 1) ** 2,
        out_nc=out_nc,
        num_filters=num_filters,
        num_blocks=num_blocks,
        scale=4 if fold else scale,
        plus=plus,
        shuffle_factor=fold,
    )


esrgan_lite = variant("esrgan_lite", esrgan, num_filters=32, num_blocks=12)
