"""TemporalSPAN (the-database, 2025), our implementation: SPAN over the frames of a clip, which it fuses early.

Tensor names are those of traiNNer-redux, so weights of either open in the other. The body is SPAN's (Wan et al., "Swift
Parameter-free Attention Network for Efficient Super-Resolution", 2024), with group normalization (Wu and He, 2018).
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.triple_conv import TripleConv

Count = Annotated[int, Field(gt=0)]
GROUPS = 8
BLOCKS = 6


def _odd(frames: int) -> int:
    if frames % 2 == 0:
        raise ValueError("must be odd: the frame in the middle is made")
    return frames


class Block(nn.Module):
    """Three convolutions, normalized or not, whose output weighs itself and the input: attention without parameters."""

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (TripleConv(channels, channels) for _ in range(3))
        norms = (nn.GroupNorm(GROUPS, channels) if norm else nn.Identity() for _ in range(3))
        self.norm1, self.norm2, self.norm3 = norms

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map B, C, H, W to the output and what the first convolution amounts to."""
        first = F.silu(self.norm1(self.c1_r(x)))
        last = self.norm3(self.c3_r(F.silu(self.norm2(self.c2_r(first)))))
        return (last + x) * (last.sigmoid() - 0.5), first


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    center, history = state.get("center_conv.sk.weight"), state.get("history_convs.0.sk.weight")
    upsampler = state.get("upsampler.0.weight")
    if center is None or history is None or upsampler is None or "fusion_conv.0.sk.weight" not in state:
        return None
    frames = 1 + sum(name.startswith("history_convs.") and name.endswith(".sk.weight") for name in state)
    return {
        "type": "temporalspan",
        "num_frames": frames,
        "feature_channels": center.shape[0],
        "history_channels": history.shape[0],
        "norm": "block_1.norm1.weight" in state,
        "scale": math.isqrt(upsampler.shape[0] // 3),
    }


@arch(
    scales=(1, 2, 3, 4),
    frames_option="num_frames",
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8),
)
class TemporalSpan(nn.Module):
    """TemporalSPAN, a network of clips: it makes the middle frame of them.

    Args:
        num_frames: Frames of a clip, an odd number; `clip_size` of the datasets is the same.
        feature_channels: Channels of the body, a multiple of 8.
        history_channels: Channels of each of the other frames, before they are fused.
        norm: Normalize by mean and variance of the whole image, as published weights do; tiles differ from the whole
            image then.
        residual: Add the output to the middle frame, whose pixels are repeated: quick to train. Published weights do
            not.
    """

    def __init__(
        self,
        scale: int,
        num_frames: Annotated[int, Field(ge=3), AfterValidator(_odd)] = 5,
        feature_channels: Annotated[int, Field(gt=0, multiple_of=GROUPS)] = 48,
        history_channels: Count = 12,
        norm: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.scale, self.residual = scale, residual
        self.middle = num_frames // 2
        self.center_conv = TripleConv(3, feature_channels)
        self.history_convs = nn.ModuleList(TripleConv(3, history_channels) for _ in range(num_frames - 1))
        gathered = feature_channels + history_channels * (num_frames - 1)
        self.fusion_conv = nn.Sequential(
            TripleConv(gathered, feature_channels), TripleConv(feature_channels, feature_channels)
        )
        for number in range(1, BLOCKS + 1):
            self.add_module(f"block_{number}", Block(feature_channels, norm))
        self.conv_cat = nn.Conv2d(feature_channels * 4, feature_channels, 1)
        self.conv_2 = TripleConv(feature_channels, feature_channels)
        self.upsampler = nn.Sequential(nn.Conv2d(feature_channels, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        self._begin_alike(scale)

    def _begin_alike(self, scale: int) -> None:
        """Let the output pixels of one input pixel begin equal (Aitken et al., "Checkerboard artifact free", 2017)."""
        last = self.upsampler[0]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        kernel = nn.init.kaiming_normal_(torch.empty_like(last.weight[:: scale**2]))
        if self.residual:  # which begins as the middle frame
            kernel = kernel * 0.1
        with torch.no_grad():
            last.weight.copy_(kernel.repeat_interleave(scale**2, dim=0))
            last.bias.zero_()

    def forward(self, clip: Tensor) -> Tensor:
        """Map B, num_frames, 3, H, W in [0, 1] to B, 3, scale*H, scale*W, not clamped."""
        convs = list(self.history_convs)
        convs.insert(self.middle, self.center_conv)
        frames = [clip[:, place] for place in range(len(convs))]
        fused = self.fusion_conv(torch.cat([conv(frame) for conv, frame in zip(convs, frames, strict=True)], dim=1))
        outputs, inner = [fused], fused
        for number in range(1, BLOCKS + 1):
            output, inner = self.get_submodule(f"block_{number}")(outputs[-1])
            outputs.append(output)
        joined = torch.cat([fused, self.conv_2(outputs[-1]), outputs[1], inner], dim=1)
        output = self.upsampler(self.conv_cat(joined))
        if not self.residual:
            return output
        return output + F.interpolate(frames[self.middle], scale_factor=float(self.scale), mode="nearest")
