"""DIS (Kim2091, 2025), our implementation: a small residual network for quick inference.

Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]


class ResidualBlock(nn.Module):
    """Two convolutions, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.conv2(self.act(self.conv1(x))) + x


class SeparableConv(nn.Module):
    """A 3 x 3 convolution of each channel alone, then one of 1 x 1 of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.pointwise(self.depthwise(x))


class LightBlock(nn.Module):
    """A separable convolution, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dw_conv = SeparableConv(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return x + self.act(self.dw_conv(x))


class Shuffle(nn.Module):
    """A convolution whose channels become pixels."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels * scale**2, 3, padding=1)
        self.act = nn.PReLU(channels)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, C, scale*H, scale*W."""
        return self.act(F.pixel_shuffle(self.conv(x), self.scale))


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("head.weight"), state.get("tail.weight")
    if first is None or last is None or not {"head_act.weight", "fusion.weight"} <= state.keys():
        return None
    shuffle = state.get("upsampler.conv.weight")
    step = 1 if shuffle is None else math.isqrt(shuffle.shape[0] // first.shape[0])
    size = {
        "in_channels": first.shape[1],
        "out_channels": last.shape[0],
        "num_features": first.shape[0],
        "num_blocks": count_parts(state, "body."),
        "use_depthwise": "body.0.dw_conv.depthwise.weight" in state,
    }
    scale = 4 if "upsampler.0.conv.weight" in state else step
    return {"type": name_of(size, SIZES, "dis"), **size, "scale": scale}


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class DIS(nn.Module):
    """DIS, a small residual network for quick inference.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output: as many as the input has, unless that has one.
        num_features: Channels of the body.
        num_blocks: Residual blocks.
        use_depthwise: Blocks of separable convolutions, with fewer weights.
    """

    def __init__(
        self,
        scale: int,
        in_channels: Count = 3,
        out_channels: Count = 3,
        num_features: Count = 32,
        num_blocks: Count = 12,
        use_depthwise: bool = False,
    ) -> None:
        super().__init__()
        if scale not in (1, 2, 3, 4):
            raise ValueError(f"dis enlarges by 1, 2, 3 or 4, not {scale}")
        if in_channels not in (1, out_channels):
            raise ValueError(f"dis adds the input to the output: in_channels must be 1 or {out_channels}")
        self.scale = scale
        self.head = nn.Conv2d(in_channels, num_features, 3, padding=1)
        self.head_act = nn.PReLU(num_features)
        block = LightBlock if use_depthwise else ResidualBlock
        self.body = nn.Sequential(*(block(num_features) for _ in range(num_blocks)))
        self.fusion = nn.Conv2d(num_features, num_features, 3, padding=1)
        self.upsampler = self._upsampler(num_features, scale)
        self.tail = nn.Conv2d(num_features, out_channels, 3, padding=1)

    @staticmethod
    def _upsampler(channels: int, scale: int) -> nn.Module:
        if scale == 4:
            return nn.Sequential(Shuffle(channels, 2), Shuffle(channels, 2))
        return nn.Identity() if scale == 1 else Shuffle(channels, scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, in_channels, H, W in [0, 1] to B, out_channels, scale*H, scale*W, not clamped."""
        shallow = self.head_act(self.head(x))
        detail = self.tail(self.upsampler(self.fusion(self.body(shallow)) + shallow))
        return detail + F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)


SIZES: dict[str, dict[str, Any]] = {
    "dis_balanced": {"num_features": 32, "num_blocks": 12, "use_depthwise": False},
    "dis_fast": {"num_features": 32, "num_blocks": 8, "use_depthwise": False},
}
dis_balanced = variant("dis_balanced", DIS, **SIZES["dis_balanced"])
dis_fast = variant("dis_fast", DIS, **SIZES["dis_fast"])
