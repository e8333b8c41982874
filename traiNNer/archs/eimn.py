"""EIMN (Liu et al., "Efficient Information Modulation Network for Image Super-Resolution", 2023), our implementation.

Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.man import ChannelNorm
from traiNNer.archs.reading import name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
LAYER_SCALE = 1e-2
WIDENING = 2.66


def _depthwise(channels: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation, groups=channels)


class Modulation(nn.Module):
    """Weighs every value by what large kernels of three reaches see around it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.parts = (channels * 3 // 8, channels // 8, channels // 2)
        self.region = _depthwise(channels, 5)
        self.spatial_1 = _depthwise(self.parts[0], 5, dilation=2)
        self.spatial_2 = _depthwise(self.parts[2], 7, dilation=3)
        self.fusion = nn.Conv2d(channels, channels, 1)
        self.proj_value = nn.Sequential(nn.Conv2d(channels, channels, 1))
        self.proj_query = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GELU())
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        near, same, far = self.region(self.proj_query(x)).split(self.parts, dim=1)
        seen = torch.cat([self.spatial_1(near), same, self.spatial_2(far)], dim=1)
        return self.out(F.silu(self.fusion(seen)) * self.proj_value(x))


class Gate(nn.Module):
    """Weighs channels by their means and pixels by their channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = channels // 4
        self.norm = ChannelNorm(channels)
        self.global_reduce, self.local_reduce = nn.Conv2d(channels, few, 1), nn.Conv2d(channels, few, 1)
        self.channel_expand, self.spatial_expand = nn.Conv2d(few, channels, 1), nn.Conv2d(2 * few, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        normed = self.norm(x)
        means = F.gelu(self.global_reduce(normed.mean((2, 3), keepdim=True)))
        local = F.gelu(self.local_reduce(normed))
        pixels = self.spatial_expand(torch.cat([local, means.expand_as(local)], dim=1))
        return x * self.channel_expand(means).sigmoid() * pixels.sigmoid()


class FeedForward(nn.Module):
    """Half of the wide channels, seen over 3 x 3 pixels, gates the other half; then the gate of both kinds."""

    def __init__(self, channels: int, widening: float) -> None:
        super().__init__()
        wide = int(channels * widening)
        self.linear_in = nn.Conv2d(channels, 2 * wide, 1)
        self.SAL = _depthwise(2 * wide, 3)
        self.linear_out = nn.Conv2d(wide, channels, 1)
        self.DFFM = Gate(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        gate, values = self.SAL(self.linear_in(x)).chunk(2, dim=1)
        return self.DFFM(self.linear_out(F.gelu(gate) * values))


class Block(nn.Module):
    """Modulation and feed-forward, each normalized over the batch, scaled and added to what goes in."""

    def __init__(self, channels: int, widening: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.attn = Modulation(channels)
        self.mlp = FeedForward(channels, widening)
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        x = x + self.layer_scale_1.view(-1, 1, 1) * self.attn(self.norm1(x))
        return x + self.layer_scale_2.view(-1, 1, 1) * self.mlp(self.norm2(x))


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("head.0.weight"), state.get("tail.0.weight")
    wide = state.get("block1.0.mlp.linear_out.weight")
    if first is None or last is None or wide is None or "block1.0.attn.spatial_2.weight" not in state:
        return None
    channels = first.shape[0]
    usual = int(channels * WIDENING) == wide.shape[1]
    size = {
        "embed_dims": channels,
        "depths": sum(name.startswith("block1.") and name.endswith(".layer_scale_1") for name in state),
        "mlp_ratios": WIDENING if usual else wide.shape[1] / channels,
        "num_stages": sum(name.startswith("norm") and name.endswith(".weight") for name in state),
    }
    return {"type": name_of(size, SIZES, "eimn"), **size, "scale": math.isqrt(last.shape[0] // 3)}


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class EIMN(nn.Module):
    """EIMN, modulation by large kernels. Normalizes over the batch: two images per step or more.

    Args:
        embed_dims: Channels of the body, a multiple of 8.
        depths: Blocks in each stage.
        mlp_ratios: Channels inside the feed-forward layers as a multiple of `embed_dims`.
        num_stages: Stages, each of which ends with a normalization.
    """

    def __init__(
        self,
        scale: int,
        embed_dims: Annotated[int, Field(gt=0, multiple_of=8)] = 64,
        depths: Count = 1,
        mlp_ratios: Annotated[float, Field(gt=0)] = WIDENING,
        num_stages: Count = 16,
    ) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, embed_dims, 3, padding=1))
        self.stages = num_stages
        for number in range(1, num_stages + 1):
            blocks = nn.ModuleList(Block(embed_dims, mlp_ratios) for _ in range(depths))
            self.add_module(f"block{number}", blocks)
            self.add_module(f"norm{number}", nn.LayerNorm(embed_dims))
        self.tail = nn.Sequential(nn.Conv2d(embed_dims, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W in [0, 1] to B, 3, scale*H, scale*W, not clamped."""
        x = deep = self.head(x)
        for number in range(1, self.stages + 1):
            for block in self.get_submodule(f"block{number}").children():
                deep = block(deep)
            norm = self.get_submodule(f"norm{number}")
            deep = norm(deep.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.tail(x + deep)


SIZES: dict[str, dict[str, Any]] = {
    "eimn_a": {"embed_dims": 64, "depths": 1, "num_stages": 14},
    "eimn_l": {"embed_dims": 64, "depths": 1, "num_stages": 16},
}
eimn_a = variant("eimn_a", EIMN, **SIZES["eimn_a"])
eimn_l = variant("eimn_l", EIMN, **SIZES["eimn_l"])
