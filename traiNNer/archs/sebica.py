"""Sebica (Liu et al., 2024), our implementation: a very small network of two kinds of attention.

The paper is "Sebica: Lightweight Spatial and Efficient Bidirectional Channel Attention Super Resolution Network".
Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.reading import name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

BLOCKS = 6


class ChannelAttention(nn.Sequential):
    """A weight from 0 to 1 for every image, by the mean of all its channels.

    The paper weighs each channel by its neighbors. Published weights were trained with a mean over the channels before,
    so of the kernel only the middle counts.
    """

    def __init__(self) -> None:
        super().__init__(nn.AdaptiveAvgPool1d(1), nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.Sigmoid())


class Attention(nn.Module):
    """Weighs pixels by mean and maximum of the channels, and the image by the mean of all."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial_attention = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.Sigmoid())
        self.channel_attention_forward = ChannelAttention()
        self.channel_attention_backward = ChannelAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        pixels = self.spatial_attention(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1))
        means = x.mean((2, 3)).unsqueeze(1)  # B, 1, C
        weight = (self.channel_attention_forward(means) + self.channel_attention_backward(means)) / 2
        return x * pixels * weight.unsqueeze(-1)


class Mixer(nn.Module):
    """Widens, looks at 3 x 3 pixels and narrows, normalized over the batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.conv = nn.Sequential(
            nn.Conv2d(channels, wide, 1),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.conv(x)


class FeedForward(nn.Module):
    """Widens and narrows the channels of every pixel, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.ffn = nn.Sequential(
            nn.Conv2d(channels, wide, 1),
            nn.BatchNorm2d(wide),
            nn.GELU(),
            nn.Conv2d(wide, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.ffn(x) + x


class Block(nn.Module):
    """Mixer, attention and feed-forward, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pre_mixer = Mixer(channels)
        self.post_mixer = FeedForward(channels)
        self.attn = Attention()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        mixed = self.attn(self.norm1(self.pre_mixer(x)))
        return self.norm2(self.post_mixer(mixed)) + x


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("head.0.weight"), state.get("tail.0.weight")
    if first is None or last is None or "body.0.attn.channel_attention_forward.1.weight" not in state:
        return None
    size = {"N": first.shape[0]}
    return {"type": name_of(size, SIZES, "sebica"), **size, "scale": math.isqrt(last.shape[0] // 3)}


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class Sebica(nn.Module):
    """Sebica, attention over pixels and channels. Normalizes over the batch: two images per step or more.

    Args:
        N: Channels of the body.
    """

    def __init__(self, scale: int, N: Annotated[int, Field(gt=0)] = 16) -> None:  # noqa: N803  as published
        super().__init__()
        self.scale = scale
        self.head = nn.Sequential(nn.Conv2d(3, N, 3, padding=1), nn.BatchNorm2d(N), nn.ReLU())
        self.body = nn.Sequential(*(Block(N) for _ in range(BLOCKS)))
        self.tail = nn.Sequential(nn.Conv2d(N, 3 * scale**2, 1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W in [0, 1] to B, 3, scale*H, scale*W, not clamped."""
        base = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return self.tail(self.body(self.head(x))) + base


SIZES: dict[str, dict[str, Any]] = {"sebica": {"N": 16}, "sebica_mini": {"N": 8}}
sebica_mini = variant("sebica_mini", Sebica, **SIZES["sebica_mini"])
