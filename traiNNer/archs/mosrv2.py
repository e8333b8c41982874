"""MoSRv2 (umzi, 2025), our implementation: gated convolutions that see rows, columns and squares.

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
from traiNNer.archs.paragonsr2.layers import InceptionContext
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.upsampling import Upsampler, Way, read_record

Count = Annotated[int, Field(gt=0)]
FOLDED = 4
"""Scale that small scales are folded to."""
BAND = 11
"""Pixels in a row, and in a column, that an eighth of the channels sees."""


class RootNorm(nn.Module):
    """Divides every pixel by the root mean square of its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize B, C, H, W."""
        size = x.float().square().mean(1, keepdim=True).sqrt().to(x.dtype)
        return self.scale * (x / (size + 1e-6)) + self.offset


def begin_small(network: nn.Module) -> None:
    """Let every convolution of a network begin with small weights and without bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Block(nn.Module):
    """A part of the wide channels sees its surroundings and joins the rest, gated by the other half; plus the input."""

    def __init__(self, channels: int, widening: float, rms_norm: bool) -> None:
        super().__init__()
        wide = int(channels * widening)
        self.parts = (wide, wide - channels, channels)
        self.norm = RootNorm(channels) if rms_norm else ChannelNorm(channels)
        self.fc1 = nn.Conv2d(channels, 2 * wide, 3, padding=1)
        self.conv = InceptionContext(channels, BAND)
        self.fc2 = nn.Conv2d(wide, channels, 3, padding=1)
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        begin_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        gate, kept, seen = self.fc1(self.norm(x)).split(self.parts, dim=1)
        joined = F.mish(gate) * torch.cat([kept, self.conv(seen)], dim=1)
        return F.mish(self.fc2(joined)) * self.gamma + x


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    record, first = state.get("to_img.MetaUpsample"), state.get("gblocks.0.weight", state.get("gblocks.1.weight"))
    blocks = [name for name in state if name.startswith("gblocks.") and name.endswith(".fc1.weight")]
    if record is None or first is None or not blocks or blocks[0].replace("fc1.weight", "gamma") not in state:
        return None
    way, scale, middle = read_record(record)
    wide, is_folded = state[blocks[0]].shape[0] // 2, "gblocks.0.weight" not in state
    channels = int(record[4])
    return {
        "type": "mosrv2",
        "in_ch": channels,
        "n_block": len(blocks),
        "dim": first.shape[0],
        "upsampler": way,
        "expansion_ratio": wide / first.shape[0],
        "mid_dim": middle,
        # At scales 3 and 4 nothing is folded, whatever was asked for.
        "unshuffle_mod": is_folded or scale > 2,
        "rms_norm": blocks[0].replace("fc1.weight", "norm.scale") in state,
        "scale": scale // math.isqrt(first.shape[1] // channels),
    }


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=FOLDED,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class MoSRv2(nn.Module):
    """MoSRv2, gated convolutions that see rows, columns and squares.

    Args:
        in_ch: Channels of the images.
        n_block: Blocks.
        dim: Channels of the body, at least 8.
        upsampler: How the image is enlarged: `pixelshuffledirect` shuffles pixels at once, `pixelshuffle` in steps,
            `nearest+conv` repeats them, `dysample` learns where to sample; `conv` restores at scale 1, without folding.
        expansion_ratio: Channels inside a block as a multiple of `dim`, at least 1.
        mid_dim: Channels of the upsampler, for `pixelshuffle` and `dysample`, a multiple of 4.
        unshuffle_mod: At scales 1 and 2 fold pixels into channels first, which is faster.
        rms_norm: Normalize by the root mean square of the channels instead of their deviation.
    """

    def __init__(
        self,
        scale: int,
        in_ch: Count = 3,
        n_block: Count = 24,
        dim: Annotated[int, Field(ge=8)] = 64,
        upsampler: Way = "pixelshuffledirect",
        expansion_ratio: Annotated[float, Field(ge=1)] = 1.5,
        mid_dim: Annotated[int, Field(gt=0, le=255, multiple_of=4)] = 32,
        unshuffle_mod: bool = True,
        rms_norm: bool = False,
    ) -> None:
        super().__init__()
        fold = FOLDED // scale if unshuffle_mod and scale < 3 else 1
        folded = [nn.PixelUnshuffle(fold)] if fold > 1 else []
        self.scale = scale
        self.gblocks = nn.Sequential(
            *folded,
            nn.Conv2d(in_ch * fold**2, dim, 3, padding=1),
            *(Block(dim, expansion_ratio, rms_norm) for _ in range(n_block)),
            nn.Conv2d(dim, dim * 2, 3, padding=1),
            nn.Mish(),
            nn.Conv2d(dim * 2, dim, 3, padding=1),
            nn.Mish(),
            nn.Conv2d(dim, dim, 1),
        )
        self.to_img = Upsampler(upsampler, scale * fold, dim, in_ch, mid_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, in_ch, H, W in [0, 1] to B, in_ch, scale*H, scale*W, not clamped; sides are multiples of 4."""
        base = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return self.to_img(self.gblocks(x)) + base
