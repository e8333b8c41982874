"""SRFormer (Zhou et al., "SRFormer: Permuted Self-Attention for Single Image Super-Resolution", 2023), from its paper.

Published weights have other tensor names and do not open.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.upsampling import Upsampler, read_record
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
UPSAMPLED = 64
"""Channels between the steps of the upsampler."""
HIDDEN = -100.0
"""Added to the attention of pixels that are neighbors only because the image was shifted."""


class PermutedAttention(nn.Module):
    """Attention inside windows in which 2 x 2 pixels, with a quarter of the channels each, are one key.

    Args:
        channels: a multiple of 4 and of `heads`.
        window: side of the windows, an even number.
        heads: attention heads.
    """

    index: Tensor

    def __init__(self, channels: int, window: int, heads: int) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        half = window // 2
        self.q, self.kv = nn.Linear(channels, channels), nn.Linear(channels, channels // 2)
        self.proj = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.empty((2 * half - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        pixels, keys = torch.arange(window) // 2, torch.arange(half)
        apart = pixels[:, None] - keys + half - 1  # along one side
        index = apart[:, None, :, None] * (2 * half - 1) + apart[None, :, None, :]
        self.register_buffer("index", index.flatten(2).flatten(0, 1), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map N, window * window, C to the same; a mask is M, window * window, keys, for every M windows in turn."""
        count, pixels, channels = x.shape
        half, size = self.window // 2, channels // self.heads
        query = self.q(x).view(count, pixels, self.heads, size).transpose(1, 2) * size**-0.5
        pairs = self.kv(x).view(count, half, 2, half, 2, 2, channels // 4).permute(5, 0, 1, 3, 2, 4, 6)
        key, value = pairs.reshape(2, count, half**2, self.heads, size).transpose(2, 3)
        scores = query @ key.transpose(2, 3) + self.bias[self.index].permute(2, 0, 1)
        if mask is not None:
            scores = (scores.unflatten(0, (-1, len(mask))) + mask.unsqueeze(1)).flatten(0, 1)
        return self.proj((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    """Widens, looks at 5 x 5 pixels of each channel and narrows."""

    def __init__(self, channels: int, widening: float) -> None:
        super().__init__()
        wide = int(channels * widening)
        self.fc1, self.fc2 = nn.Linear(channels, wide), nn.Linear(wide, channels)
        self.dwconv = nn.Conv2d(wide, wide, 5, padding=2, groups=wide)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, H, W, C to the same."""
        x = F.gelu(self.fc1(x))
        near = F.gelu(self.dwconv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return self.fc2(x + near)


class Block(nn.Module):
    """Attention, in windows that are shifted by half or not, and feed-forward; each is added to what goes in."""

    def __init__(self, channels: int, window: int, heads: int, widening: float, is_shifted: bool) -> None:
        super().__init__()
        self.window, self.shift = window, window // 2 if is_shifted else 0
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = PermutedAttention(channels, window, heads)
        self.mlp = FeedForward(channels, widening)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map B, H, W, C to the same; sides are multiples of the window."""
        batch, height, width, channels = x.shape
        rows, columns = height // self.window, width // self.window
        y = self.norm1(x).roll((-self.shift, -self.shift), dims=(1, 2))
        y = y.view(batch, rows, self.window, columns, self.window, channels).transpose(2, 3)
        y = self.attn(y.reshape(-1, self.window**2, channels), mask if self.shift else None)
        y = y.view(batch, rows, columns, self.window, self.window, channels).transpose(2, 3).reshape(x.shape)
        x = x + y.roll((self.shift, self.shift), dims=(1, 2))
        return x + self.mlp(self.norm2(x))


class Group(nn.Module):
    """Blocks in sequence and a convolution, plus the input."""

    def __init__(self, channels: int, depth: int, window: int, heads: int, widening: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(channels, window, heads, widening, is_shifted=place % 2 == 1) for place in range(depth)
        )
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map B, H, W, C to the same."""
        y = x
        for block in self.blocks:
            y = block(y, mask)
        return self.conv(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + x


def shifted_mask(height: int, width: int, window: int, like: Tensor) -> Tensor:
    """Return what is added to the attention of shifted windows: windows, window * window, keys."""
    cut = window // 2
    sides = (torch.arange(side, device=like.device) for side in (height, width))
    # Only the last windows hold pixels of both ends: what came from the other end is a region of its own.
    rows, columns = (torch.where(places >= len(places) - cut, 1, 0) for places in sides)
    regions = (2 * rows[:, None] + columns).view(height // window, window, width // window, window).transpose(1, 2)
    pixels = regions.reshape(-1, window, window)
    same = pixels.flatten(1)[:, :, None] == pixels[:, ::2, ::2].flatten(1)[:, None]
    return torch.where(same, 0.0, HIDDEN).to(like.dtype)


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, record = state.get("conv_first.weight"), state.get("upsample.MetaUpsample")
    table, wide = state.get("layers.0.blocks.0.attn.bias"), state.get("layers.0.blocks.0.mlp.fc1.weight")
    if first is None or record is None or table is None or wide is None:
        return None
    way, scale, _ = read_record(record)
    groups = range(count_parts(state, "layers."))
    half = (int(table.shape[0] ** 0.5) + 1) // 2
    size = {
        "in_chans": first.shape[1],
        "embed_dim": first.shape[0],
        "depths": [count_parts(state, f"layers.{at}.blocks.") for at in groups],
        "num_heads": [state[f"layers.{at}.blocks.0.attn.bias"].shape[1] for at in groups],
        "window_size": 2 * half,
        "mlp_ratio": wide.shape[0] / first.shape[0],
        "upsampler": way,
    }
    named = {name: {**one, "depths": list(one["depths"])} for name, one in SIZES.items()}
    return {"type": name_of(size, named, "srformer"), **size, "scale": scale}


@arch(
    scales=(1, 2, 3, 4, 8),
    least_size=13,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=16),
)
class SRFormer(nn.Module):
    """SRFormer, attention inside large windows whose keys are 2 x 2 pixels.

    Args:
        in_chans: Channels of the images.
        embed_dim: Channels of the body, a multiple of 4 and of the heads.
        depths: Blocks of each group.
        num_heads: Attention heads of each group.
        window_size: Side of the windows, a multiple of 4, at most 24; images are padded to multiples of it.
        mlp_ratio: Channels inside the feed-forward layers as a multiple of `embed_dim`.
        upsampler: How the image is enlarged: `pixelshuffle` in steps, `pixelshuffledirect` at once, `nearest+conv` by
            repeated pixels.
    """

    def __init__(
        self,
        scale: int,
        in_chans: Count = 3,
        embed_dim: Annotated[int, Field(gt=0, le=255, multiple_of=4)] = 180,
        depths: Counts = (6,) * 6,
        num_heads: Counts = (6,) * 6,
        window_size: Annotated[int, Field(gt=0, le=24, multiple_of=4)] = 24,
        mlp_ratio: Annotated[float, Field(gt=0)] = 2.0,
        upsampler: Literal["pixelshuffle", "pixelshuffledirect", "nearest+conv"] = "pixelshuffle",
    ) -> None:
        super().__init__()
        if len(depths) != len(num_heads) or any(embed_dim % heads for heads in num_heads):
            raise ValueError("num_heads of srformer needs a divisor of embed_dim for each of depths")
        self.scale, self.window = scale, window_size
        self.conv_first = nn.Conv2d(in_chans, embed_dim, 3, padding=1)
        self.layers = nn.ModuleList(
            Group(embed_dim, depth, window_size, heads, mlp_ratio)
            for depth, heads in zip(depths, num_heads, strict=True)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.conv_after_body = nn.Conv2d(embed_dim, embed_dim, 3, padding=1)
        self.upsample = Upsampler(upsampler, scale, embed_dim, in_chans, UPSAMPLED)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W in [0, 1] to B, C, scale*H, scale*W, not clamped."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.window, 0, -height % self.window), mode="reflect")
        x = self.conv_first(x)
        mask = shifted_mask(x.shape[2], x.shape[3], self.window, x)
        y = x.permute(0, 2, 3, 1)
        for group in self.layers:
            y = group(y, mask)
        y = self.conv_after_body(self.norm(y).permute(0, 3, 1, 2)) + x
        return self.upsample(y)[..., : height * self.scale, : width * self.scale]


SIZES: dict[str, dict[str, Any]] = {
    "srformer": {"depths": (6,) * 6, "window_size": 24, "upsampler": "pixelshuffle"},
    "srformer_light": {"depths": (6,) * 4, "window_size": 16, "upsampler": "pixelshuffledirect"},
}
srformer_light = variant("srformer_light", SRFormer, **SIZES["srformer_light"], num_heads=(6,) * 4)
