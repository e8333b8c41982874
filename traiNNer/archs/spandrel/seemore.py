"""SeemoRe (Zamfir et al., "See More Details: Efficient Image Super-Resolution by Experts Mining", 2024)."""

from typing import Annotated, Literal

from torch import nn

from traiNNer.archs.spandrel.kinds import Count, OddCount, only
from traiNNer.archs.traits import Recipe, arch


@arch(
    scales=(1, 2, 3, 4),
    least_size=16,
    precisions=("fp32", "bf16"),
    opens_as="SeemoRe",
    license="Apache-2.0",
    recipe=Recipe(lr=1e-3, lq_size=64, batch_size=8),
)
def seemore_t(
    scale: int,
    in_chans: Annotated[int, only(3)] = 3,
    num_experts: Count = 3,
    num_layers: Annotated[int, only(6)] = 6,
    embedding_dim: Annotated[int, only(36)] = 36,
    img_range: Annotated[float, only(1)] = 1.0,
    use_shuffle: Annotated[bool, only(True)] = True,
    global_kernel_size: OddCount = 11,
    recursive: Annotated[int, only(2)] = 2,
    lr_space: Literal["linear", "exp", "double"] = "exp",
    topk: Annotated[int, only(1)] = 1,
) -> nn.Module:
    """SeemoRe-T, in which a router chooses an expert for each image. Evaluated image by image.

    Args:
        in_chans: Channels of the images.
        num_experts: Experts to choose from.
        num_layers: Layers; with `embedding_dim` it is all that a weights file says about the four that must stay.
        embedding_dim: Channels of the body.
        img_range: Largest value of an image.
        use_shuffle: Shuffle channels between the halves of a layer.
        global_kernel_size: Length of the row and column filters, odd.
        recursive: How often the context is aggregated.
        lr_space: How the experts' sizes grow.
        topk: Experts chosen.
    """
    from traiNNer.archs.spandrel.fixed import SeemoRe

    return SeemoRe(
        scale=scale,
        in_chans=in_chans,
        num_experts=num_experts,
        num_layers=num_layers,
        embedding_dim=embedding_dim,
        img_range=img_range,
        use_shuffle=use_shuffle,
        global_kernel_size=global_kernel_size,
        recursive=recursive,
        lr_space=lr_space,
        topk=topk,
    )
