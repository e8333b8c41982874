"""RTMoSR (umzi, 2025), our implementation: gated convolutions for quick inference.

Every convolution is trained as several whose sum it is. They are added up before the image is convolved, in training as
in evaluation: the same function, at the cost of one. Tensor names are those of traiNNer-redux, so weights of either
open in the other.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.triple_conv import TripleConv, amounts_to
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
FOLDED = 4
"""Scale that small scales are folded to."""
FIRST = ("to_feat.conv2.weight", "to_feat.1.conv2.weight")
"""The first convolution, without folding and with it."""


class Norm(nn.Module):
    """Divides every pixel by the root mean square of its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize B, C, H, W."""
        size = x.float().square().mean(1, keepdim=True).sqrt().to(x.dtype)
        return self.scale.view(-1, 1, 1) * (x / (size + 1e-6)) + self.offset.view(-1, 1, 1)


class DoubleConv(nn.Module):
    """The weights of a 1 x 1 convolution and a 3 x 3 one after it."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        first, second = nn.Conv2d(inner, 2 * outer, 1), nn.Conv2d(2 * outer, outer, 3)
        self.k0, self.b0, self.k1, self.b1 = first.weight, first.bias, second.weight, second.bias

    def fused(self) -> tuple[Tensor, Tensor]:
        """Return kernel and bias of the one convolution that they amount to."""
        assert self.b0 is not None
        assert self.b1 is not None
        kernel = torch.einsum("omhw,mi->oihw", self.k1, self.k0[..., 0, 0])
        return kernel, torch.einsum("omhw,m->o", self.k1, self.b0) + self.b1


class SummedConv(nn.Module):
    """A 3 x 3 convolution whose kernel is a weighted sum of three.

    `conv_3x3_rep` is the sum in the weights file, for programs that read it there; it is never trained.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv1 = DoubleConv(inner, outer)
        self.conv2 = nn.Conv2d(inner, outer, 3, padding=1)
        self.conv3 = TripleConv(inner, outer)
        self.conv_3x3_rep = nn.Conv2d(inner, outer, 3, padding=1).requires_grad_(False)
        self.alpha = nn.Parameter(torch.ones(3))
        self.register_state_dict_pre_hook(_write_fused)

    def fused(self) -> tuple[Tensor, Tensor]:
        """Return kernel and bias of the sum, differentiable."""
        parts = (self.conv1.fused(), (self.conv2.weight, _bias(self.conv2)), amounts_to(self.conv3.conv, self.conv3.sk))
        kernels, biases = zip(*parts, strict=True)
        return torch.einsum("p,poihw->oihw", self.alpha, torch.stack(kernels)), self.alpha @ torch.stack(biases)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, inner, H, W to B, outer, H, W."""
        kernel, bias = self.fused()
        return F.conv2d(x, kernel, bias, padding=1)


class ChannelConv(nn.Module):
    """A 5 x 5 convolution of each channel alone whose kernel is a weighted sum of 1, 3, 5 pixels and nothing.

    `conv5x5_reparam` is the sum in the weights file; it is never trained.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        convs = (nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels) for side in (1, 3, 5))
        self.conv1x1, self.conv3x3, self.conv5x5 = convs
        weights = (nn.Parameter(torch.ones(1, channels, 1, 1)) for _ in range(4))
        self.alpha1, self.alpha2, self.alpha3, self.alpha4 = weights
        self.conv5x5_reparam = nn.Conv2d(channels, channels, 5, padding=2, groups=channels).requires_grad_(False)
        self.register_state_dict_pre_hook(_write_fused)

    def fused(self) -> tuple[Tensor, Tensor]:
        """Return kernel and bias of the sum, differentiable."""
        weights = [alpha.view(-1, 1, 1, 1) for alpha in (self.alpha1, self.alpha2, self.alpha3, self.alpha4)]
        one = torch.ones_like(self.conv1x1.weight)
        kernels = (one, self.conv1x1.weight, self.conv3x3.weight, self.conv5x5.weight)
        padded = (F.pad(kernel, [(5 - kernel.shape[-1]) // 2] * 4) for kernel in kernels)
        kernel = torch.stack([weight * part for weight, part in zip(weights, padded, strict=True)]).sum(0)
        biases = (_bias(conv) for conv in (self.conv1x1, self.conv3x3, self.conv5x5))
        bias = torch.stack([weight.flatten() * part for weight, part in zip(weights[1:], biases, strict=True)]).sum(0)
        return kernel, bias

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        kernel, bias = self.fused()
        return F.conv2d(x, kernel, bias, padding=2, groups=x.shape[1])


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _write_fused(module: nn.Module, *_: Any) -> None:
    assert isinstance(module, SummedConv | ChannelConv)
    written = module.conv_3x3_rep if isinstance(module, SummedConv) else module.conv5x5_reparam
    with torch.no_grad():
        for own, fused in zip((written.weight, _bias(written)), module.fused(), strict=True):
            own.copy_(fused)


class Fold(nn.Module):
    """Turns squares of 2 x 2 pixels into channels, plus what a convolution makes of their maxima."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.poll = nn.Sequential(nn.MaxPool2d(2), SummedConv(channels, channels * 4))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, 4*C, H/2, W/2."""
        return F.pixel_unshuffle(x, 2) + self.poll(x)


class ChannelGate(nn.Module):
    """Weighs channels by their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = channels // 2
        self.squeezing = nn.Sequential(
            nn.Conv2d(channels, few, 1), nn.ReLU(), nn.Conv2d(few, channels, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return x * self.squeezing(x.mean((2, 3), keepdim=True))


class Block(nn.Module):
    """A part of the wide channels, seen at half the size, joins the rest, gated by the other half; plus the input."""

    def __init__(self, channels: int, widening: float, dccm: bool, se: bool) -> None:
        super().__init__()
        wide = int(channels * widening)
        self.parts = (wide, wide - channels, channels)
        self.norm = Norm(channels)
        self.fc1 = SummedConv(channels, 2 * wide)
        self.conv = nn.Sequential(
            Fold(channels),
            ChannelConv(channels * 4),
            ChannelGate(channels * 4) if se else nn.Identity(),
            nn.PixelShuffle(2),
        )
        self.fc2 = SummedConv(wide, channels) if dccm else nn.Conv2d(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same; sides are even."""
        gate, kept, seen = self.fc1(self.norm(x)).split(self.parts, dim=1)
        joined = torch.cat([kept, self.conv(seen)], dim=1)
        return F.mish(self.fc2(F.mish(gate) * joined)) + x


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first = next((state[name] for name in FIRST if name in state), None)
    last, wide = state.get("to_img.0.conv2.weight"), state.get("body.0.fc1.conv2.weight")
    if first is None or last is None or wide is None or "body.0.conv.1.alpha1" not in state:
        return None
    fold = math.isqrt(first.shape[1] // 3)
    scale = math.isqrt(last.shape[0] // 3)
    size = {
        "dim": first.shape[0],
        "ffn_expansion": wide.shape[0] / 2 / first.shape[0],
        "n_blocks": count_parts(state, "body."),
        "unshuffle_mod": fold > 1,
        "dccm": "body.0.fc2.alpha" in state,
        "se": "body.0.conv.2.squeezing.0.weight" in state,
    }
    # At scale 4 nothing is folded whatever was asked for: dccm tells the variants apart.
    asked = size | {"unshuffle_mod": fold > 1 or (scale == FOLDED and not size["dccm"])}
    name = name_of(asked, SIZES, "rtmosr")
    return {"type": name, **size, "scale": scale // fold}


@arch(
    scales=(1, 2, 3, 4),
    size_multiple=2 * FOLDED,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class RTMoSR(nn.Module):
    """RTMoSR, gated convolutions for quick inference.

    Args:
        dim: Channels of the body.
        ffn_expansion: Channels inside a block as a multiple of `dim`, at least 1.
        n_blocks: Blocks.
        unshuffle_mod: At scales 1 and 2 fold pixels into channels first, which is faster. Scale 3 has no such form.
        dccm: Leave blocks by a convolution of 3 x 3 pixels instead of 1 x 1.
        se: Weigh channels by their means.
    """

    def __init__(
        self,
        scale: int,
        dim: Count = 32,
        ffn_expansion: Annotated[float, Field(ge=1)] = 2.0,
        n_blocks: Count = 2,
        unshuffle_mod: bool = False,
        dccm: bool = True,
        se: bool = True,
    ) -> None:
        super().__init__()
        if unshuffle_mod and scale == 3:
            raise ValueError("rtmosr at scale 3 needs unshuffle_mod: false")
        fold = FOLDED // scale if unshuffle_mod and scale < FOLDED else 1
        self.scale = scale
        first = SummedConv(3 * fold**2, dim)
        self.to_feat = first if fold == 1 else nn.Sequential(nn.PixelUnshuffle(fold), first)
        self.body = nn.Sequential(*(Block(dim, ffn_expansion, dccm, se) for _ in range(n_blocks)))
        self.to_img = nn.Sequential(SummedConv(dim, 3 * (scale * fold) ** 2), nn.PixelShuffle(scale * fold))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(_bias(module))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W in [0, 1] to B, 3, scale*H, scale*W, not clamped; sides are multiples of 8."""
        base = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return self.to_img(self.body(self.to_feat(x))) + base


SIZES: dict[str, dict[str, Any]] = {
    "rtmosr_l": {"ffn_expansion": 2.0, "unshuffle_mod": True, "dccm": True},
    "rtmosr_ul": {"ffn_expansion": 1.5, "unshuffle_mod": True, "dccm": False},
}
rtmosr_l = variant("rtmosr_l", RTMoSR, **SIZES["rtmosr_l"], scales=(1, 2, 4))
rtmosr_ul = variant("rtmosr_ul", RTMoSR, **SIZES["rtmosr_ul"], scales=(1, 2, 4))
