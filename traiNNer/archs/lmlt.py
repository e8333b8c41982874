"""LMLT (Kim et al., 2024), our implementation: attention inside windows at four sizes.

The paper is "LMLT: Low-to-high Multi-Level Vision Transformer for Lightweight Image Super-Resolution".
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
from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

LEVELS = 4
WINDOW = 8


class WindowAttention(nn.Module):
    """Attention inside windows, plus a convolution of the values that tells where they lie."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.get_v = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same; sides are multiples of the window."""
        batch, channels, height, width = x.shape
        rows, columns = height // WINDOW, width // WINDOW
        windows = x.view(batch, channels, rows, WINDOW, columns, WINDOW).permute(0, 2, 4, 3, 5, 1)
        query, key, value = self.qkv(windows.reshape(-1, WINDOW**2, channels)).chunk(3, dim=-1)
        weights = (query @ key.transpose(1, 2) * channels**-0.5).softmax(dim=-1)
        places = self.get_v(value.transpose(1, 2).reshape(-1, channels, WINDOW, WINDOW)).flatten(2).transpose(1, 2)
        seen = self.proj(weights @ value + places).view(batch, rows, columns, WINDOW, WINDOW, channels)
        return seen.permute(0, 5, 1, 3, 2, 4).reshape(x.shape)


class Levels(nn.Module):
    """Attention at four sizes, each on a quarter of the channels; what one saw is added to the next larger."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mfr = nn.ModuleList(WindowAttention(channels // LEVELS) for _ in range(LEVELS))
        self.aggr = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same; sides are multiples of 64."""
        seen: list[Tensor] = []
        smaller = None
        for level in reversed(range(LEVELS)):
            part = F.max_pool2d(x.chunk(LEVELS, dim=1)[level], 2**level)
            if smaller is not None:
                part = part + _repeated(smaller, 2)
            smaller = self.mfr[level](part)
            seen.append(_repeated(smaller, 2**level))
        return F.gelu(self.aggr(torch.cat(seen, dim=1))) * x


def _repeated(x: Tensor, times: int) -> Tensor:
    return x if times == 1 else F.interpolate(x, scale_factor=float(times), mode="nearest")


class FeedForward(nn.Module):
    """Widens the channels of 3 x 3 pixels and narrows them."""

    def __init__(self, channels: int, widening: float) -> None:
        super().__init__()
        wide = int(channels * widening)
        self.ccm = nn.Sequential(nn.Conv2d(channels, wide, 3, padding=1), nn.GELU(), nn.Conv2d(wide, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.ccm(x)


class Block(nn.Module):
    """Attention at several sizes, then the feed-forward layers; each is added to what goes in."""

    def __init__(self, channels: int, widening: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.lhsb = Levels(channels)
        self.ccm = FeedForward(channels, widening)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        x = self.lhsb(self.norm1(x)) + x
        return self.ccm(self.norm2(x)) + x


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("to_feat.weight"), state.get("to_img.0.weight")
    wide = state.get("feats.0.ccm.ccm.0.weight")
    if first is None or last is None or wide is None or "feats.0.lhsb.mfr.0.qkv.weight" not in state:
        return None
    size = {
        "dim": first.shape[0],
        "n_blocks": count_parts(state, "feats."),
        "ffn_scale": wide.shape[0] / first.shape[0],
    }
    return {"type": name_of(size, SIZES, "lmlt"), **size, "scale": math.isqrt(last.shape[0] // 3)}


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=WINDOW * 2 ** (LEVELS - 1),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class LMLT(nn.Module):
    """LMLT, attention inside windows at four sizes.

    Args:
        dim: Channels of the body, a multiple of 4.
        n_blocks: Blocks.
        ffn_scale: Channels inside the feed-forward layers as a multiple of `dim`.
    """

    def __init__(
        self,
        scale: int,
        dim: Annotated[int, Field(gt=0, multiple_of=LEVELS)] = 60,
        n_blocks: Annotated[int, Field(gt=0)] = 8,
        ffn_scale: Annotated[float, Field(gt=0)] = 2.0,
    ) -> None:
        super().__init__()
        self.to_feat = nn.Conv2d(3, dim, 3, padding=1)
        self.feats = nn.Sequential(*(Block(dim, ffn_scale) for _ in range(n_blocks)))
        self.to_img = nn.Sequential(nn.Conv2d(dim, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W in [0, 1] to B, 3, scale*H, scale*W, not clamped; sides are multiples of 64."""
        x = self.to_feat(x)
        return self.to_img(self.feats(x) + x)


SIZES: dict[str, dict[str, Any]] = {"lmlt_tiny": {"dim": 36}, "lmlt_base": {"dim": 60}, "lmlt_large": {"dim": 84}}
lmlt_tiny = variant("lmlt_tiny", LMLT, **SIZES["lmlt_tiny"])
lmlt_base = variant("lmlt_base", LMLT, **SIZES["lmlt_base"])
lmlt_large = variant("lmlt_large", LMLT, **SIZES["lmlt_large"])
