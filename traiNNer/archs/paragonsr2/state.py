"""What can be read from a ParagonSR2 state dict alone: its options, its generation."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Size:
    """The part of the options that the variants fix."""

    num_feat: int
    num_groups: int
    num_blocks: int
    ffn_expansion: float
    band_kernel_size: int
    hr_blocks: int


VARIANTS = {
    "paragonsr2_nano": Size(24, 2, 2, 1.5, 9, 1),
    "paragonsr2_xs": Size(32, 2, 3, 1.5, 11, 1),
    "paragonsr2_s": Size(48, 3, 4, 2.0, 11, 2),
    "paragonsr2_m": Size(64, 4, 6, 2.0, 13, 2),
    "paragonsr2_l": Size(96, 6, 8, 2.0, 15, 3),
    "paragonsr2_xl": Size(128, 8, 10, 2.0, 15, 3),
}
BLOCK = "body.0.blocks.0."
SIGNATURE = (
    "conv_in.weight",
    "conv_fuse.weight",
    BLOCK + "context.dwconv_w.weight",
    BLOCK + "transformer.project_in.weight",
)


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family.

    Scale is None where the tensors do not determine it (all but the earlier generation, which is 2x with alpha 1).
    """
    if not all(name in state for name in SIGNATURE):
        return None
    size = _read_size(state)
    names = [name for name, variant in VARIANTS.items() if variant == size]
    options: dict[str, Any] = {"type": names[0]} if names else {"type": "paragonsr2", **asdict(size)}
    options["in_chans"] = state["conv_in.weight"].shape[1]
    table = state.get(BLOCK + "attention.relative_position_bias_table")
    if table is not None:
        options |= {"use_attention": True, "window_size": (math.isqrt(table.shape[0]) + 1) // 2}
    if _is_earlier(state):
        return options | {"upsampler_alpha": 1.0, "scale": 2}
    return options | {"scale": None}


def adapt_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the tensors of the earlier generation; return the state and a note when something was renamed."""
    if not _is_earlier(state):
        return dict(state), []
    renamed = {
        f"hr_conv_in.{name.removeprefix('upsampler.')}" if name.startswith("upsampler.") else name: tensor
        for name, tensor in state.items()
    }
    return renamed, ["earlier ParagonSR2 generation: 'upsampler.*' is loaded as 'hr_conv_in.*' (upsampler_alpha 1.0)"]


def _is_earlier(state: Mapping[str, Tensor]) -> bool:
    return "upsampler.weight" in state and all(name in state for name in SIGNATURE)


def _read_size(state: Mapping[str, Tensor]) -> Size:
    hidden, channels = state[BLOCK + "transformer.project_in.weight"].shape[:2]
    expansion = hidden / channels
    if int(channels * expansion) != hidden:
        # The quotient was rounded down; any number between this hidden size and the next one says the same.
        expansion = (hidden + 0.5) / channels
    return Size(
        num_feat=channels,
        num_groups=_count(state, "body."),
        num_blocks=_count(state, "body.0.blocks."),
        ffn_expansion=expansion,
        band_kernel_size=state[BLOCK + "context.dwconv_w.weight"].shape[-1],
        hr_blocks=_count(state, "hr_head."),
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    places = {name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)}
    return len(places)
