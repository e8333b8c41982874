"""What an arch declares about itself when it registers, so that the engine needs no knowledge of any family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from traiNNer.registry import ARCHS

Precision = Literal["fp32", "bf16", "fp16"]
Layout = Literal["nchw", "nhwc"]
State = Mapping[str, Tensor]
InferOptions = Callable[[State], dict[str, Any] | None]
AdaptState = Callable[[State], tuple[dict[str, Tensor], list[str]]]


@dataclass(frozen=True)
class Recipe:
    """The settings that an arch was published with: learning rate of Adam, side of the LQ crops, images per step."""

    lr: float
    lq_size: int
    batch_size: int


def arch(
    *,
    scales: tuple[int, ...] = (1, 2, 3, 4, 8),
    size_multiple: int = 1,
    precisions: tuple[Precision, ...] = ("fp32", "bf16", "fp16"),
    layouts: tuple[Layout, ...] = ("nchw", "nhwc"),
    infer_options: InferOptions | None = None,
    adapt_state: AdaptState | None = None,
    recipe: Recipe | None = None,
) -> Callable[[Any], Any]:
    """Register a network class or factory with its capabilities; read them as `ARCHS[name].traits[key]`.

    Args:
        scales: Upscaling factors that the arch is meant for.
        size_multiple: Input sides must be multiples of this.
        precisions: Number formats in which a forward pass works.
        layouts: Memory layouts that give the same result.
        infer_options: Reads `{"type": ..., option: value, ..., "scale": int or None}` from a bare state dict, as found
            in a file (before `adapt_state`); None when the tensors are of another family.
        adapt_state: Renames tensors of older generations; returns the new state and one note per change.
        recipe: Settings of its published training, which zero-config starts from.
    """
    return ARCHS.register(
        scales=scales,
        size_multiple=size_multiple,
        precisions=precisions,
        layouts=layouts,
        infer_options=infer_options,
        adapt_state=adapt_state,
        recipe=recipe,
    )
