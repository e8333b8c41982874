"""The discriminator that traiNNer-redux calls MetaGan2: blocks of gated bands, normalized pixel by pixel."""

from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.discriminators.spectral import SpectralConv2d
from traiNNer.archs.traits import arch

BAND = 11
LAYER_SCALE = 1e-6
EPSILON = 1e-6


@arch(least_size=32, discriminates=True, license="Apache-2.0")
class MetaGan2(nn.Module):
    """A discriminator of gated blocks that see rows, columns and squares.

    Several logits, as many as the last stage has channels, for each patch of 4 · 2^(stages - 1) pixels. The structure
    is redux's; its weights do not fit, as convolutions stand here for linear layers.

    Args:
        in_ch: Channels of the images.
        dims: Channels of every stage, multiples of 8. The first has a quarter of the resolution, each further one half
            of that before it.
        blocks: Gated blocks of every stage.
    """

    def __init__(
        self,
        in_ch: int = 3,
        dims: Annotated[tuple[int, ...], Field(min_length=1)] = (32, 64, 128, 192),
        blocks: Annotated[tuple[int, ...], Field(min_length=1)] = (3, 3, 15, 3),
    ) -> None:
        super().__init__()
        if len(blocks) != len(dims) or any(width % 8 for width in dims):
            raise ValueError("dims must be multiples of 8, and blocks must have a number for each")
        first = dims[0]
        half = SpectralConv2d(in_ch, first // 2, 3, 2, 1)
        stem = nn.Sequential(half, nn.SiLU(), SpectralConv2d(first // 2, first, 3, 2, 1), PixelNorm(first))
        halvings = (
            nn.Sequential(PixelNorm(before), SpectralConv2d(before, width, 3, 2, 1)) for before, width in pairwise(dims)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(down, *(GatedBlock(width) for _ in range(count)))
            for down, width, count in zip([stem, *halvings], dims, blocks, strict=True)
        )
        last = dims[-1]
        self.head = nn.Sequential(SpectralConv2d(last, last * 4, 1), nn.Mish(), nn.Conv2d(last * 4, last, 1))

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, C, h, w logits of B, in_ch, H, W images; the output of every stage is appended to `features`."""
        x = images
        for stage in self.stages:
            x = stage(x)
            if features is not None:
                features.append(x)
        return self.head(x)


class PixelNorm(nn.Module):
    """Divides every pixel by the root mean square of its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize B, C, H, W."""
        size = (x.float().square().mean(1, keepdim=True) + EPSILON).sqrt()
        return (x / size).to(x.dtype) * self.weight.view(-1, 1, 1)


class GatedBlock(nn.Module):
    """Some of the wide channels see a square, a row or a column; they join the rest, gated by the other half."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide, part = int(width * 8 / 3), width // 8
        self.parts = (wide, wide - 3 * part, part, part, part)
        self.norm = PixelNorm(width)
        self.expand = SpectralConv2d(width, 2 * wide, 1)
        self.square, self.row, self.column = (
            nn.Conv2d(part, part, kernel, padding=(kernel[0] // 2, kernel[1] // 2), groups=part)
            for kernel in ((3, 3), (1, BAND), (BAND, 1))
        )
        self.shrink = SpectralConv2d(wide, width, 1)
        self.gamma = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Return B, C, H, W for the same."""
        gate, same, square, row, column = self.expand(self.norm(x)).split(self.parts, dim=1)
        seen = torch.cat([same, self.square(square), self.row(row), self.column(column)], dim=1)
        return x + self.shrink(F.silu(gate) * seen) * self.gamma.view(-1, 1, 1)
