"""ELAN (Zhang et al., "Efficient Long-Range Attention Network for Image Super-resolution", 2022), our implementation.

Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
SIDES = 16
"""Sides of an image are a multiple of this, and windows divide it."""
NEIGHBORS = ((1, 2), (1, 0), (2, 1), (0, 1), (1, 1))
"""Row and column, in a kernel of 3 x 3, of what each fifth of the channels is replaced by."""


class ShiftedConv(nn.Module):
    """A 1 x 1 convolution after four fifths of the channels were moved by a pixel, each in a direction of its own."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inner, 1, 3, 3), requires_grad=False)
        fifth = inner // len(NEIGHBORS)
        for place, (row, column) in enumerate(NEIGHBORS):
            end = inner if place == len(NEIGHBORS) - 1 else (place + 1) * fifth
            self.weight[place * fifth : end, 0, row, column] = 1
        self.conv1x1 = nn.Conv2d(inner, outer, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, inner, H, W to B, outer, H, W."""
        return self.conv1x1(F.conv2d(x, self.weight, padding=1, groups=x.shape[1]))


class LocalFeatures(nn.Module):
    """Two shifted convolutions, the wide channels between them rectified."""

    def __init__(self, channels: int, widening: int) -> None:
        super().__init__()
        # Named as published: a choice of two ways to compute the same.
        self.conv0 = nn.ModuleDict({"shift_conv": ShiftedConv(channels, channels * widening)})
        self.conv1 = nn.ModuleDict({"shift_conv": ShiftedConv(channels * widening, channels)})

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.conv1["shift_conv"](F.relu(self.conv0["shift_conv"](x)))


class WindowAttention(nn.Module):
    """Attention inside windows of three sizes, each on a third of the channels; keys are the queries.

    Args:
        channels: a multiple of 3.
        windows: sides of the windows.
        is_shifted: whether windows are moved by half of their side.
        attends: whether attention is computed; otherwise it is taken from another one.
    """

    def __init__(self, channels: int, windows: Sequence[int], is_shifted: bool, attends: bool) -> None:
        super().__init__()
        self.windows, self.is_shifted, self.attends = windows, is_shifted, attends
        wide = channels * 2 if attends else channels
        self.project_inp = nn.Sequential(nn.Conv2d(channels, wide, 1), nn.BatchNorm2d(wide))
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, known: Sequence[Tensor] = ()) -> tuple[Tensor, Sequence[Tensor]]:
        """Map B, C, H, W and the attention of each window size, where it is taken over, to the same."""
        outputs, attention = [], list(known)
        for place, (part, side) in enumerate(zip(self.project_inp(x).chunk(3, dim=1), self.windows, strict=True)):
            shift = -(side // 2) if self.is_shifted else 0
            tokens = _windows(part.roll((shift, shift), dims=(2, 3)) if shift else part, side)
            if self.attends:
                query, tokens = tokens.chunk(2, dim=-1)
                attention.append((query @ query.transpose(1, 2)).softmax(dim=-1))
            output = _joined(attention[place] @ tokens, side, x)
            outputs.append(output.roll((-shift, -shift), dims=(2, 3)) if shift else output)
        return self.project_out(torch.cat(outputs, dim=1)), attention


def _windows(x: Tensor, side: int) -> Tensor:
    """Return the pixels of each window: B * windows, side * side, C."""
    batch, channels, height, width = x.shape
    split = x.reshape(batch, channels, height // side, side, width // side, side)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(-1, side**2, channels)


def _joined(tokens: Tensor, side: int, like: Tensor) -> Tensor:
    """Return windows as B, C, H, W, with batch and sides of another tensor."""
    batch, _, height, width = like.shape
    split = tokens.view(batch, height // side, width // side, side, side, tokens.shape[-1])
    return split.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height, width)


class Block(nn.Module):
    """Local features and attention, and again with the same attention; each is added to what goes in."""

    def __init__(self, channels: int, widening: int, windows: Sequence[int], is_shifted: bool, shares: int) -> None:
        super().__init__()
        self.times = 1 + shares
        self.modules_lfe = nn.ModuleDict({f"lfe_{i}": LocalFeatures(channels, widening) for i in range(self.times)})
        self.modules_gmsa = nn.ModuleDict(
            {f"gmsa_{i}": WindowAttention(channels, windows, is_shifted, attends=i == 0) for i in range(self.times)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        attention: Sequence[Tensor] = ()
        for i in range(self.times):
            x = self.modules_lfe[f"lfe_{i}"](x) + x
            y, attention = self.modules_gmsa[f"gmsa_{i}"](x, attention)
            x = y + x
        return x


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family.

    Windows leave no trace in the tensors: those of the paper are assumed.
    """
    first, last = state.get("head.0.weight"), state.get("tail.0.weight")
    wide = state.get("body.0.modules_lfe.lfe_0.conv0.shift_conv.conv1x1.weight")
    if first is None or last is None or wide is None:
        return None
    shares = count_parts(state, "body.0.modules_lfe.") - 1
    size = {
        "colors": first.shape[1],
        "m_elan": count_parts(state, "body.") * (1 + shares),
        "c_elan": first.shape[0],
        "n_share": shares,
        "r_expand": wide.shape[0] // wide.shape[1],
    }
    scale = math.isqrt(last.shape[0] // first.shape[1])
    return {"type": name_of(size, SIZES, "elan"), **size, "scale": scale}


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=SIDES,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class ELAN(nn.Module):
    """ELAN, attention inside windows of three sizes. Normalizes over the batch: two images per step or more.

    Args:
        colors: Channels of the images.
        window_sizes: Sides of the windows, which divide 16.
        m_elan: Layers, counting those that take over attention.
        c_elan: Channels of the body, a multiple of 3, more than 5.
        n_share: Layers that take over the attention of the one before them.
        r_expand: Channels inside the local layers as a multiple of `c_elan`.
    """

    def __init__(
        self,
        scale: int,
        colors: Count = 3,
        window_sizes: Annotated[tuple[Count, ...], Field(min_length=3, max_length=3)] = (4, 8, 16),
        m_elan: Count = 36,
        c_elan: Annotated[int, Field(gt=5, multiple_of=3)] = 180,
        n_share: Annotated[int, Field(ge=0)] = 0,
        r_expand: Count = 2,
    ) -> None:
        super().__init__()
        if any(SIDES % side for side in window_sizes):
            raise ValueError(f"window_sizes of elan must divide {SIDES}")
        self.head = nn.Sequential(nn.Conv2d(colors, c_elan, 3, padding=1))
        blocks = (
            Block(c_elan, r_expand, window_sizes, is_shifted=place % 2 == 1, shares=n_share)
            for place in range(m_elan // (1 + n_share))
        )
        self.body = nn.Sequential(*blocks)
        self.tail = nn.Sequential(nn.Conv2d(c_elan, colors * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W in [0, 1] to B, C, scale*H, scale*W, not clamped; sides are multiples of 16."""
        x = self.head(x)
        return self.tail(self.body(x) + x)


SIZES: dict[str, dict[str, Any]] = {
    "elan": {"m_elan": 36, "c_elan": 180, "n_share": 0},
    "elan_light": {"m_elan": 24, "c_elan": 60, "n_share": 1},
}
elan_light = variant("elan_light", ELAN, **SIZES["elan_light"])
