"""MAN (Wang et al., "Multi-scale Attention Network for Single Image Super-Resolution", 2024), our implementation.

Tensor names are those of the published weights, so these open here and ours open there.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]
MEAN = (0.4488, 0.4371, 0.4040)
"""Mean color of DIV2K, of channels in [0, 1]."""
BRANCHES = ((3, 5, 2), (5, 7, 3), (7, 9, 4))
"""Local kernel, far kernel and its dilation, of each third of the channels."""


def _depthwise(channels: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation, groups=channels)


def _large_kernel(channels: int, local: int, far: int, dilation: int) -> nn.Sequential:
    """Return a large kernel attention: what a kernel of about `far * dilation` sees, at the cost of small ones."""
    return nn.Sequential(
        _depthwise(channels, local), _depthwise(channels, far, dilation), nn.Conv2d(channels, channels, 1)
    )


class ChannelNorm(nn.Module):
    """Layer normalization of every pixel over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize B, C, H, W."""
        centered = x - x.mean(1, keepdim=True)
        deviation = (centered.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return centered / deviation * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class MultiScaleAttention(nn.Module):
    """Gated large kernel attention of three sizes, each on a third of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        third = channels // 3
        self.norm = ChannelNorm(channels)
        self.scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        for local, far, dilation in BRANCHES:
            self.add_module(f"LKA{local}", _large_kernel(third, local, far, dilation))
            self.add_module(f"X{local}", _depthwise(third, local))
        self.proj_first = nn.Sequential(nn.Conv2d(channels, 2 * channels, 1))
        self.proj_last = nn.Sequential(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        attention, values = self.proj_first(self.norm(x)).chunk(2, dim=1)
        gated = [
            self.get_submodule(f"LKA{local}")(part) * self.get_submodule(f"X{local}")(part)
            for part, (local, _, _) in zip(attention.chunk(3, dim=1), BRANCHES, strict=True)
        ]
        return self.proj_last(values * torch.cat(gated, dim=1)) * self.scale + x


class GatedUnit(nn.Module):
    """Half of the channels, filtered, gates the other half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.DWConv1 = _depthwise(channels, 7)
        self.Conv2 = nn.Conv2d(channels, channels, 1)
        self.norm = ChannelNorm(channels)
        self.scale = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        gate, values = self.Conv1(self.norm(x)).chunk(2, dim=1)
        return self.Conv2(values * self.DWConv1(gate)) * self.scale + x


class AttentionBlock(nn.Module):
    """Attention, then the gated unit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.LKA = MultiScaleAttention(channels)
        self.LFE = GatedUnit(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.LFE(self.LKA(x))


class AttentionTail(nn.Module):
    """The attention over large kernels that ends a group."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GELU())
        self.att = _large_kernel(channels, 7, 9, 3)
        self.conv1 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        x = self.conv0(x)
        return self.conv1(x * self.att(x))


class AttentionGroup(nn.Module):
    """Blocks in sequence and their tail, plus the input."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.ModuleList(AttentionBlock(channels) for _ in range(blocks))
        self.body_t = AttentionTail(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        y = x
        for block in self.body:
            y = block(y)
        return self.body_t(y) + x


class MeanShift(nn.Conv2d):
    """Adds `sign` times the mean color; not trained."""

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, 1)
        self.requires_grad_(False)
        self.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
        if self.bias is not None:
            self.bias.copy_(sign * torch.tensor(MEAN))


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("head.weight"), state.get("tail.0.weight")
    if first is None or last is None or "body.0.body.0.LKA.X3.weight" not in state:
        return None
    size = {
        "n_resblocks": _count(state, "body.0.body."),
        "n_resgroups": _count(state, "body."),
        "n_feats": first.shape[0],
    }
    named = {tuple(sizes.values()): name for name, sizes in SIZES.items()}
    scale = round((last.shape[0] / first.shape[1]) ** 0.5)
    return {"type": named.get(tuple(size.values()), "man"), **size, "scale": scale}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=5e-4, lq_size=48, batch_size=16),
)
class MAN(nn.Module):
    """MAN, attention by large kernels of three sizes.

    Args:
        n_resblocks: Blocks in each group.
        n_resgroups: Groups.
        n_feats: Channels of the body, a multiple of 3.
    """

    def __init__(self, scale: int, n_resblocks: Count = 36, n_resgroups: Count = 1, n_feats: Count = 180) -> None:
        super().__init__()
        if n_feats % 3:
            raise ValueError(f"n_feats must be a multiple of 3; nearest: {n_feats // 3 * 3}, {n_feats // 3 * 3 + 3}")
        self.sub_mean = MeanShift(-1)
        self.head = nn.Conv2d(3, n_feats, 3, padding=1)
        self.body = nn.ModuleList(AttentionGroup(n_feats, n_resblocks) for _ in range(n_resgroups))
        if n_resgroups > 1:
            self.body_t = nn.Conv2d(n_feats, n_feats, 3, padding=1)
        self.tail = nn.Sequential(nn.Conv2d(n_feats, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        self.add_mean = MeanShift(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W in [0, 1] to B, 3, scale*H, scale*W, not clamped."""
        x = self.head(self.sub_mean(x))
        y = x
        for group in self.body:
            y = group(y)
        if len(self.body) > 1:
            y = self.body_t(y) + x
        return self.add_mean(self.tail(y))


SIZES: dict[str, dict[str, Any]] = {
    "man": {"n_resblocks": 36, "n_resgroups": 1, "n_feats": 180},
    "man_light": {"n_resblocks": 24, "n_resgroups": 1, "n_feats": 60},
    "man_tiny": {"n_resblocks": 5, "n_resgroups": 1, "n_feats": 48},
}
man_light = variant("man_light", MAN, **SIZES["man_light"])
man_tiny = variant("man_tiny", MAN, **SIZES["man_tiny"])
