"""SPANPlus (umzi, 2024), our implementation: SPAN in stages, with Mish and an upsampler that learns where to sample.

Tensor names are those of the published weights, so these open here and ours open there.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
Upsampler = Literal["dys", "ps", "conv"]


class TripleConv(nn.Module):
    """A 3 x 3 convolution that is trained as three in a row beside a 1 x 1, and evaluated as the one they amount to.

    `eval_conv` is that one in the weights file, for programs that read it there; it is never trained.
    """

    def __init__(self, inner: int, outer: int, gain: int = 2, bias: bool = True) -> None:
        super().__init__()
        self.sk = nn.Conv2d(inner, outer, 1, bias=bias)
        self.conv = nn.Sequential(
            nn.Conv2d(inner, inner * gain, 1, bias=bias),
            nn.Conv2d(inner * gain, outer * gain, 3, bias=bias),
            nn.Conv2d(outer * gain, outer, 1, bias=bias),
        )
        self.eval_conv = nn.Conv2d(inner, outer, 3, padding=1, bias=bias).requires_grad_(False)
        nn.init.trunc_normal_(self.sk.weight, std=0.02)
        self.register_state_dict_pre_hook(TripleConv._write_fused)

    def _write_fused(self, *_: Any) -> None:
        with torch.no_grad():
            for own, fused in zip((self.eval_conv.weight, self.eval_conv.bias), self.fused(), strict=True):
                if own is not None:
                    own.copy_(fused)

    def fused(self) -> tuple[Tensor, Tensor]:
        """Return kernel and bias of the one convolution, differentiable."""
        expand, spread, reduce = (part for part in self.conv if isinstance(part, nn.Conv2d))
        kernel = torch.einsum("om,mnhw,ni->oihw", reduce.weight[..., 0, 0], spread.weight, expand.weight[..., 0, 0])
        bias = torch.einsum("om,mnhw,n->o", reduce.weight[..., 0, 0], spread.weight, _bias(expand))
        bias = bias + reduce.weight[..., 0, 0] @ _bias(spread) + _bias(reduce) + _bias(self.sk)
        return kernel + F.pad(self.sk.weight, (1, 1, 1, 1)), bias

    def forward(self, x: Tensor) -> Tensor:
        """Map B, inner, H, W to B, outer, H, W."""
        if self.training:
            return self.conv(F.pad(x, (1, 1, 1, 1))) + self.sk(x)
        kernel, bias = self.fused()
        return F.conv2d(x, kernel, bias, padding=1)


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


class AttentionBlock(nn.Module):
    """Three convolutions whose output weighs itself and the input, without parameters of attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (TripleConv(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map B, C, H, W to the output and what the first convolution returned."""
        first = self.c1_r(x)
        last = self.c3_r(F.mish(self.c2_r(F.mish(first))))
        return (last + x) * (last.sigmoid() - 0.5), F.mish(first)


class Stage(nn.Module):
    """Blocks in sequence, joined with what went into them."""

    def __init__(self, channels: int, blocks: int, drop_rate: float) -> None:
        super().__init__()
        self.block_1 = AttentionBlock(channels)
        self.block_n = nn.Sequential(*(AttentionBlock(channels) for _ in range(blocks)))
        self.block_end = AttentionBlock(channels)
        self.conv_2 = TripleConv(channels, channels)
        self.conv_cat = nn.Conv2d(channels * 4, channels, 1)
        self.dropout = nn.Dropout2d(drop_rate)
        nn.init.trunc_normal_(self.conv_cat.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        start, _ = self.block_1(x)
        y = start
        for block in self.block_n:
            y, _ = block(y)
        end, inner = self.block_end(y)
        return self.conv_cat(torch.cat([x, self.dropout(self.conv_2(end)), start, inner], dim=1))


class DySample(nn.Module):
    """Upsampling that learns where to sample (Liu et al., "Learning to Upsample by Learning to Sample", 2023)."""

    def __init__(self, inner: int, outer: int, scale: int, groups: int = 4) -> None:
        super().__init__()
        self.scale, self.groups = scale, groups
        self.end_conv = nn.Conv2d(inner, outer, 1)
        self.offset = nn.Conv2d(inner, 2 * groups * scale**2, 1)
        self.scope = nn.Conv2d(inner, 2 * groups * scale**2, 1, bias=False)
        nn.init.trunc_normal_(self.offset.weight, std=0.02)
        nn.init.zeros_(self.scope.weight)
        steps = (torch.arange(scale) - (scale - 1) / 2) / scale
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        start = torch.stack([columns, rows]).flatten(1)  # x, then y, of every phase
        self.register_buffer("init_pos", start.unsqueeze(1).expand(-1, groups, -1).reshape(1, -1, 1, 1).clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, outer, scale*H, scale*W."""
        batch, _, height, width = x.shape
        offset = self.offset(x) * self.scope(x).sigmoid() * 0.5 + self.get_buffer("init_pos")
        place = F.pixel_shuffle(offset.reshape(batch * 2 * self.groups, self.scale**2, height, width), self.scale)
        place = place.view(batch, 2, self.groups, self.scale * height, self.scale * width).transpose(1, 2)
        own = torch.stack(self._centers(x, height, width))
        size = torch.tensor([width, height], dtype=x.dtype, device=x.device).view(2, 1, 1)
        grid = (2 * (own + place) / size - 1).flatten(0, 1).permute(0, 2, 3, 1)
        parts = x.reshape(batch * self.groups, -1, height, width)
        sampled = F.grid_sample(parts, grid.to(x.dtype), align_corners=False, padding_mode="border")
        return self.end_conv(sampled.reshape(batch, -1, self.scale * height, self.scale * width))

    def _centers(self, x: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return column and row of the pixel that each output pixel lies in, at its center."""
        columns = torch.arange(width, device=x.device, dtype=x.dtype).repeat_interleave(self.scale) + 0.5
        rows = torch.arange(height, device=x.device, dtype=x.dtype).repeat_interleave(self.scale) + 0.5
        rows, columns = torch.meshgrid(rows, columns, indexing="ij")
        return columns, rows


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first = state.get("feats.0.sk.weight")
    if first is None or "feats.1.block_1.c1_r.sk.weight" not in state:
        return None
    stages = _count(state, "feats.") - 1
    options: dict[str, Any] = {
        "num_in_ch": first.shape[1],
        "num_out_ch": first.shape[1],
        "blocks": [_count(state, f"feats.{at}.block_n.") for at in range(1, stages + 1)],
        "feature_channels": first.shape[0],
    }
    if "upsampler.end_conv.weight" in state:
        phases = state["upsampler.offset.weight"].shape[0] // 8
        options |= {"upsampler": "dys", "num_out_ch": state["upsampler.end_conv.weight"].shape[0]}
    elif "upsampler.0.weight" in state:
        phases = state["upsampler.0.weight"].shape[0] // first.shape[1]
        options["upsampler"] = "ps"
    else:
        phases = 1
        options["upsampler"] = "conv"
    named = {(tuple(size["blocks"]), size["feature_channels"], size["upsampler"]): name for name, size in SIZES.items()}
    name = named.get((tuple(options["blocks"]), options["feature_channels"], options["upsampler"]), "spanplus")
    return {"type": name, **options, "scale": math.isqrt(phases)}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8),
)
class SpanPlus(nn.Module):
    """SPANPlus, SPAN in stages.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output; other than `num_in_ch` only with `dys`.
        blocks: Blocks of each stage, besides its first and last one.
        feature_channels: Channels of the body, a multiple of 4 with `dys`.
        drop_rate: Share of channels that a stage drops in training.
        upsampler: How the image is enlarged: `dys` learns where to sample, `ps` shuffles pixels; `conv` restores at
            scale 1.
    """

    def __init__(
        self,
        scale: int,
        num_in_ch: Count = 3,
        num_out_ch: Count = 3,
        blocks: Annotated[tuple[Count, ...], Field(min_length=1)] = (4,),
        feature_channels: Count = 48,
        drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        upsampler: Upsampler = "dys",
    ) -> None:
        super().__init__()
        if upsampler == "conv" and scale != 1:
            raise ValueError(f"upsampler conv of spanplus is for scale 1, not {scale}")
        stages = (Stage(feature_channels, count, drop_rate) for count in blocks)
        self.feats = nn.Sequential(TripleConv(num_in_ch, feature_channels), *stages)
        self.upsampler: nn.Module
        if upsampler == "dys":
            self.upsampler = DySample(feature_channels, num_out_ch, scale)
        elif upsampler == "ps":
            shuffled = nn.Conv2d(feature_channels, num_in_ch * scale**2, 3, padding=1)
            self.upsampler = nn.Sequential(shuffled, nn.PixelShuffle(scale))
        else:
            self.upsampler = nn.Conv2d(feature_channels, num_in_ch, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, num_in_ch, H, W in [0, 1] to B, num_out_ch, scale*H, scale*W, not clamped."""
        return self.upsampler(self.feats(x))


SIZES: dict[str, dict[str, Any]] = {
    "spanplus": {"blocks": (4,), "feature_channels": 48, "upsampler": "dys"},
    "spanplus_s": {"blocks": (2,), "feature_channels": 32, "upsampler": "dys"},
    "spanplus_st": {"blocks": (4,), "feature_channels": 48, "upsampler": "ps"},
    "spanplus_sts": {"blocks": (2,), "feature_channels": 32, "upsampler": "ps"},
}
spanplus_s = variant("spanplus_s", SpanPlus, **SIZES["spanplus_s"])
spanplus_st = variant("spanplus_st", SpanPlus, **SIZES["spanplus_st"])
spanplus_sts = variant("spanplus_sts", SpanPlus, **SIZES["spanplus_sts"])
