"""PLKSR (Lee et al., "Partial Large Kernel CNNs for Efficient Super-Resolution", 2024)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, Counts, OddCount, Share, only
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


@arch(scales=(1, 2, 3, 4), opens_as="PLKSR", license="MIT", recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8))
def plksr(
    scale: int,
    dim: Count = 64,
    n_blocks: Count = 28,
    ccm_type: Literal["CCM", "ICCM", "DCCM"] = "DCCM",
    kernel_size: OddCount = 17,
    split_ratio: Share = 0.25,
    lk_type: Literal["PLK", "SparsePLK", "RectSparsePLK"] = "PLK",
    use_max_kernel: bool = False,
    sparse_kernels: Counts = (5, 5, 5, 5),
    sparse_dilations: Annotated[Counts, only((1, 2, 3, 4))] = (1, 2, 3, 4),
    with_idt: Annotated[bool, only(False)] = False,
    use_ea: bool = True,
) -> nn.Module:
    """PLKSR, blocks in which a part of the channels passes a large kernel.

    Args:
        dim: Channels of the body.
        n_blocks: Blocks.
        ccm_type: Sides of the two convolutions that mix channels: 3 and 1 (`CCM`), 1 and 3, or 3 and 3 (`DCCM`).
        kernel_size: Side of the large kernels, odd.
        split_ratio: Share of the channels that pass the large kernel.
        lk_type: Form of the large kernel: one, or a sum of smaller dilated ones.
        use_max_kernel: Add the full kernel to the sparse ones.
        sparse_kernels: Sides of the sparse kernels.
        sparse_dilations: Dilations of the sparse kernels.
        with_idt: Add the input to the sparse kernels.
        use_ea: Give each block an element-wise attention.
    """
    from traiNNer.archs.spandrel.fixed import PLKSR

    return PLKSR(
        dim=dim,
        n_blocks=n_blocks,
        upscaling_factor=scale,
        ccm_type=ccm_type,
        kernel_size=kernel_size,
        split_ratio=split_ratio,
        lk_type=lk_type,
        use_max_kernel=use_max_kernel,
        sparse_kernels=sparse_kernels,
        sparse_dilations=sparse_dilations,
        with_idt=with_idt,
        use_ea=use_ea,
    )


plksr_tiny = variant("plksr_tiny", plksr, n_blocks=12, kernel_size=13, use_ea=False)
