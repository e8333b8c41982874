"""GateRV3 (umzi, 2025), our implementation: a U-shaped network of gated convolutions beside a short one like SPAN.

Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.mosrv2 import BAND, begin_small
from traiNNer.archs.paragonsr2.layers import InceptionContext
from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.rtmosr import Norm
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.triple_conv import TripleConv
from traiNNer.archs.upsampling import Upsampler, read_record
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1, max_length=4)]
START = 2.0
"""How much the convolutions of the short network lengthen features at first."""
Upsample = Literal["pixelshuffledirect", "pixelshuffle", "nearest+conv"]


class ShortBlock(nn.Module):
    """Three convolutions whose output weighs itself and the input, without parameters of attention.

    Without a bias a block about squares small features. Begun as published, they vanish within three blocks, and no
    block ever gets a gradient; begun at `START` they keep their size.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (TripleConv(channels, channels, bias=False) for _ in range(3))
        for conv in (self.c1_r, self.c2_r, self.c3_r):
            nn.init.orthogonal_(conv.sk.weight, gain=START)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map B, C, H, W to the output and what the first convolution amounts to."""
        first = F.silu(self.c1_r(x))
        last = self.c3_r(F.silu(self.c2_r(first)))
        return (last + x) * (last.sigmoid() - 0.5), first


class Gated(nn.Module):
    """A part of the wide channels sees its surroundings and joins the rest, gated by the other half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = channels * 3 // 2
        self.parts = (wide, wide - channels, channels)
        self.norm = Norm(channels)
        self.fc1 = nn.Conv2d(channels, 2 * wide, 1)
        self.token_mix = InceptionContext(channels, BAND)
        self.fc2 = nn.Conv2d(wide, channels, 1)
        begin_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        gate, kept, seen = self.fc1(self.norm(x)).split(self.parts, dim=1)
        return F.mish(self.fc2(F.mish(gate) * torch.cat([kept, self.token_mix(seen)], dim=1)))


class Halves(nn.Module):
    """Multiplies one half of the channels by the other."""

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 2*C, H, W to B, C, H, W."""
        one, other = x.chunk(2, dim=1)
        return one * other


class Block(nn.Module):
    """Neighbors weighed by the means of channels, then the gated part; each is added to what goes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            Norm(channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=channels),
            Halves(),
        )
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.glob = Gated(channels)
        self.gamma0 = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma1 = nn.Parameter(torch.ones(1, channels, 1, 1))
        begin_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        near = self.local(x)
        x = near * self.sca(near) * self.gamma0 + x
        return self.glob(x) * self.gamma1 + x


class Down(nn.Module):
    """Blocks, and their output at half the size."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.gated = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        halved = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False)
        self.scale = nn.Sequential(halved, nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map B, C, H, W to B, 2*C, H/2, W/2, and the same before it was halved."""
        x = self.gated(x)
        return self.scale(x), x


class Up(nn.Module):
    """Doubles the size, joins what was there on the way down, and blocks."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        doubled = nn.Conv2d(channels, channels * 2, 3, padding=1, bias=False)
        self.scale = nn.Sequential(doubled, nn.PixelShuffle(2))
        self.gated = nn.Sequential(*(Block(channels // 2) for _ in range(blocks)))
        self.shor = nn.Conv2d(channels, channels // 2, 1)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """Map B, C, H, W and B, C/2, 2*H, 2*W to the latter."""
        return self.gated(self.shor(torch.cat([self.scale(x), before], dim=1)))


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first = state.get("in_to_dim.weight")
    if first is None or not {"gamma", "span_end.c1_r.sk.weight", "latent.0.token_mix.dwconv_w.weight"} <= state.keys():
        return None
    encoder, decoder = (_blocks(state, name) for name in ("gater_encode", "decode"))
    record = state.get("dim_to_in.MetaUpsample")
    way, scale, middle = ("pixelshuffle", 1, 48) if record is None else read_record(record)
    size = {
        "in_ch": first.shape[1],
        "dim": first.shape[0],
        "enc_blocks": encoder,
        "dec_blocks": decoder,
        "num_latent": count_parts(state, "latent."),
        "upsample": way,
        "upsample_mid_dim": middle,
        "sisr_blocks": count_parts(state, "span_n_b."),
    }
    named = {name: {key: list(value) for key, value in one.items()} for name, one in SIZES.items()}
    return {"type": name_of(size, named, "gaterv3"), **size, "scale": scale}


def _blocks(state: Mapping[str, Tensor], side: str) -> list[int]:
    return [count_parts(state, f"{side}.{at}.gated.") for at in range(count_parts(state, f"{side}."))]


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=16,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class GateRV3(nn.Module):
    """GateRV3, a U-shaped network of gated convolutions.

    Args:
        in_ch: Channels of the images.
        dim: Channels at full size, a multiple of 8; doubled at each smaller one.
        enc_blocks: Blocks at each size on the way down, from full size.
        dec_blocks: Blocks at each size on the way up, as many numbers.
        num_latent: Gated parts at the smallest size.
        upsample: How the image is enlarged: `pixelshuffledirect` shuffles pixels at once, `pixelshuffle` in steps,
            `nearest+conv` repeats them.
        upsample_mid_dim: Channels of the upsampler, for `pixelshuffle`.
        sisr_blocks: Blocks of the short network, besides its first and last one.
    """

    def __init__(
        self,
        scale: int,
        in_ch: Count = 3,
        dim: Annotated[int, Field(gt=0, le=255, multiple_of=8)] = 32,
        enc_blocks: Counts = (2, 2, 4, 6),
        dec_blocks: Counts = (2, 2, 2, 2),
        num_latent: Count = 8,
        upsample: Upsample = "pixelshuffle",
        upsample_mid_dim: Annotated[int, Field(gt=0, le=255)] = 48,
        sisr_blocks: Count = 4,
    ) -> None:
        super().__init__()
        if len(enc_blocks) != len(dec_blocks):
            raise ValueError("dec_blocks of gaterv3 needs as many numbers as enc_blocks")
        depth, self.scale = len(enc_blocks), scale
        self.in_to_dim = nn.Conv2d(in_ch, dim, 3, padding=1)
        self.gater_encode = nn.ModuleList(Down(dim * 2**at, blocks) for at, blocks in enumerate(enc_blocks))
        self.span_block0, self.span_end = ShortBlock(dim), ShortBlock(dim)
        self.span_n_b = nn.Sequential(*(ShortBlock(dim) for _ in range(sisr_blocks)))
        self.sisr_end_conv = TripleConv(dim, dim, gain=1)
        self.sisr_cat_conv = nn.Conv2d(dim * 4, dim, 1)
        nn.init.trunc_normal_(self.sisr_cat_conv.weight, std=0.02)
        self.latent = nn.Sequential(*(Gated(dim * 2**depth) for _ in range(num_latent)))
        self.decode = nn.ModuleList(Up(dim * 2 ** (depth - at), blocks) for at, blocks in enumerate(dec_blocks))
        self.gamma = nn.Parameter(torch.ones(1, in_ch, 1, 1))
        if scale == 1:
            self.dim_to_in = nn.Conv2d(dim, in_ch, 3, padding=1)
        else:
            self.dim_to_in = Upsampler(upsample, scale, dim, in_ch, upsample_mid_dim, version=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, in_ch, H, W in [0, 1] to B, in_ch, scale*H, scale*W, not clamped.

        Sides are multiples of 2 to the power of the length of `enc_blocks`, at most 16.
        """
        features = self.in_to_dim(x)
        deep, before = features, list[Tensor]()
        for down in self.gater_encode:
            deep, kept = down(deep)
            before.append(kept)
        deep = self.latent(deep)
        for up, kept in zip(self.decode, reversed(before), strict=True):
            deep = up(deep, kept)
        base = F.interpolate(x, scale_factor=float(self.scale), mode="nearest") if self.scale > 1 else x
        return self.dim_to_in(deep + self._short(features)) + self.gamma * base

    def _short(self, features: Tensor) -> Tensor:
        start, _ = self.span_block0(features)
        y = start
        for block in self.span_n_b:
            y, _ = block(y)
        y, inner = self.span_end(y)
        return self.sisr_cat_conv(torch.cat([features, self.sisr_end_conv(y), start, inner], dim=1))


SIZES: dict[str, dict[str, Any]] = {
    "gaterv3_r": {"enc_blocks": (2, 2, 4, 6), "dec_blocks": (2, 2, 2, 2)},
    "gaterv3_s": {"enc_blocks": (2, 2, 4), "dec_blocks": (2, 2, 2)},
}
gaterv3_r = variant("gaterv3_r", GateRV3, **SIZES["gaterv3_r"])
gaterv3_s = variant("gaterv3_s", GateRV3, **SIZES["gaterv3_s"], size_multiple=8)
