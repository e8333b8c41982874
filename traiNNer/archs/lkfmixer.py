"""LKFMixer (Liang et al., 2025), our implementation: large kernels on a part of the channels.

The paper is "LKFMixer: Exploring Large Kernel Feature For Efficient Image Super-Resolution".
Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from traiNNer.archs.artcnn import odd
from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
POOLED = 8
"""Side in pixels of the squares whose maximum modulates them."""


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)


class LargeKernel(nn.Module):
    """A large kernel, as a row after a column, on a part of the channels; then all are mixed."""

    def __init__(self, channels: int, kernel: int, share: float) -> None:
        super().__init__()
        self.part = int(channels * share)
        middle = kernel // 2
        self.DWConv_Kx1 = nn.Conv2d(self.part, self.part, (kernel, 1), padding=(middle, 0), groups=self.part)
        self.DWConv_1xK = nn.Conv2d(self.part, self.part, (1, kernel), padding=(0, middle), groups=self.part)
        self.conv1 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        seen = self.DWConv_Kx1(self.DWConv_1xK(x[:, : self.part]))
        return F.gelu(self.conv1(torch.cat([seen, x[:, self.part :]], dim=1)))


class Fusion(nn.Module):
    """A large kernel and a small one, added and mixed."""

    def __init__(self, channels: int, kernel: int, share: float) -> None:
        super().__init__()
        self.PLKB = LargeKernel(channels, kernel, share)
        self.DWConv3 = _depthwise(channels)
        self.conv1 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return F.gelu(self.conv1(self.DWConv3(x) + self.PLKB(x)))


class Distillation(nn.Module):
    """Three fusions in sequence; half of the channels before each of them, and after the last, are joined."""

    def __init__(self, channels: int, kernel: int, share: float) -> None:
        super().__init__()
        half = channels // 2
        self.c1_d, self.c2_d, self.c3_d, self.c4 = (nn.Conv2d(channels, half, 1) for _ in range(4))
        self.c1_r, self.c2_r, self.c3_r = (Fusion(channels, kernel, share) for _ in range(3))
        self.c5 = nn.Conv2d(4 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        first = self.c1_r(x)
        second = self.c2_r(first)
        halves = (self.c1_d(x), self.c2_d(first), self.c3_d(second), self.c4(self.c3_r(second)))
        return self.c5(torch.cat([F.gelu(half) for half in halves], dim=1))


class Modulation(nn.Module):
    """A large kernel, plus the maxima of squares weighed by the mean of each channel."""

    def __init__(self, channels: int, kernel: int, share: float) -> None:
        super().__init__()
        self.PLKB = LargeKernel(channels, kernel, share)
        self.DWConv_3 = _depthwise(channels)
        self.conv1_1, self.conv1_2 = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same; sides are multiples of 8."""
        maxima = F.gelu(self.conv1_1(self.DWConv_3(F.max_pool2d(x, POOLED))))
        spread = F.interpolate(maxima, scale_factor=float(POOLED), mode="bilinear", align_corners=False)
        weight = x.mean((2, 3), keepdim=True).sigmoid()
        return F.gelu(self.conv1_2(self.PLKB(x) + weight * spread))


class Selection(nn.Module):
    """Chooses at every place between a large and a small kernel."""

    def __init__(self, channels: int, kernel: int, share: float) -> None:
        super().__init__()
        self.PLKB = LargeKernel(channels, kernel, share)
        self.DWConv_3 = _depthwise(channels)
        self.conv1_1 = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        far, near = self.PLKB(x), self.DWConv_3(x)
        return torch.lerp(near, far, F.gelu(self.conv1_1(torch.cat([far, near], dim=1))).sigmoid())


class Block(nn.Module):
    """Distillation, modulation and selection, plus the input."""

    def __init__(self, channels: int, kernel: int, share: float) -> None:
        super().__init__()
        self.FDB = Distillation(channels, kernel, share)
        self.SFMB = Modulation(channels, kernel, share)
        self.FSB = Selection(channels, kernel, share)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.FSB(self.SFMB(self.FDB(x))) + x


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("conv_first.weight"), state.get("upsampler.upsampleOneStep.0.weight")
    large = state.get("layers.layers.0.SFMB.PLKB.DWConv_Kx1.weight")
    if first is None or last is None or large is None:
        return None
    size = {
        "in_channels": first.shape[1],
        "channels": first.shape[0],
        "num_block": count_parts(state, "layers.layers."),
        "large_kernel": large.shape[2],
        "split_factor": 0.25 if int(first.shape[0] * 0.25) == large.shape[0] else large.shape[0] / first.shape[0],
    }
    scale = math.isqrt(last.shape[0] // first.shape[1])
    return {"type": name_of(size, SIZES, "lkfmixer"), **size, "scale": scale}


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=POOLED,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=1e-3, lq_size=64, batch_size=16),
)
class LKFMixer(nn.Module):
    """LKFMixer, large kernels on a part of the channels.

    Args:
        in_channels: Channels of the images.
        channels: Channels of the body, an even number.
        num_block: Blocks.
        large_kernel: Side of the large kernels, an odd number.
        split_factor: Share of the channels that large kernels see.
    """

    def __init__(
        self,
        scale: int,
        in_channels: Count = 3,
        channels: Annotated[int, Field(gt=0, multiple_of=2)] = 48,
        num_block: Count = 8,
        large_kernel: Annotated[int, Field(gt=0), AfterValidator(odd)] = 31,
        split_factor: Annotated[float, Field(gt=0, le=1)] = 0.25,
    ) -> None:
        super().__init__()
        if int(channels * split_factor) == 0:
            raise ValueError(f"split_factor {split_factor} leaves none of {channels} channels to large kernels")
        self.conv_first = nn.Conv2d(in_channels, channels, 3, padding=1)
        blocks = (Block(channels, large_kernel, split_factor) for _ in range(num_block))
        self.layers = nn.ModuleDict({"layers": nn.Sequential(*blocks)})
        self.conv = _depthwise(channels)
        last = nn.Sequential(nn.Conv2d(channels, in_channels * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        self.upsampler = nn.ModuleDict({"upsampleOneStep": last})

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W in [0, 1] to B, C, scale*H, scale*W, not clamped; sides are multiples of 8."""
        x = self.conv_first(x)
        deep = F.gelu(self.conv(self.layers["layers"](x)))
        return self.upsampler["upsampleOneStep"](deep + x)


SIZES: dict[str, dict[str, Any]] = {
    "lkfmixer_t": {"channels": 40, "num_block": 6},
    "lkfmixer_b": {"channels": 48, "num_block": 8},
    "lkfmixer_l": {"channels": 64, "num_block": 12},
}
lkfmixer_t = variant("lkfmixer_t", LKFMixer, **SIZES["lkfmixer_t"])
lkfmixer_b = variant("lkfmixer_b", LKFMixer, **SIZES["lkfmixer_b"])
lkfmixer_l = variant("lkfmixer_l", LKFMixer, **SIZES["lkfmixer_l"])
