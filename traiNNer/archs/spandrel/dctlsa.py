"""DCTLSA (Zeng et al., "Densely Connected Transformer With Linear Self-Attention", 2023)."""

from typing import Annotated

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, only
from traiNNer.archs.traits import Recipe, arch


@arch(
    scales=(1, 2, 3, 4),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="DCTLSA",
    license="Apache-2.0",
    recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8),
)
def dctlsa(
    scale: int,
    in_nc: Count = 3,
    nf: Count = 55,
    num_modules: Annotated[int, only(6)] = 6,
    out_nc: Count = 3,
    num_head: Annotated[int, only(5)] = 5,
) -> nn.Module:
    """DCTLSA, densely connected attention layers. Has batch normalization: train with two images or more.

    Args:
        in_nc: Channels of the input.
        nf: Channels of the body, a multiple of `num_head`.
        num_modules: Groups, whose number is fixed.
        out_nc: Channels of the output.
        num_head: Attention heads.
    """
    from spandrel.architectures.DCTLSA import DCTLSA

    return DCTLSA(in_nc=in_nc, nf=nf, num_modules=num_modules, out_nc=out_nc, upscale=scale, num_head=num_head)
