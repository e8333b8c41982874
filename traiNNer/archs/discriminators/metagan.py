"""A discriminator of gated blocks with a large context."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.discriminators.spectral import SpectralConv2d
from traiNNer.archs.traits import arch

DILATIONS = (1, 2, 4, 8)


@arch(least_size=32, discriminates=True, license="Apache-2.0")
class MetaGAN3(nn.Module):
    """A discriminator in the manner of the community's MetaGAN: gated blocks see far around every patch.

    One logit per patch of 4 · 2^(stages) pixels. The blocks are simpler than the original's, so its weights do not fit.

    Args:
        in_ch: Channels of the images.
        dims: Channels of the stem and of every stage, multiples of 8; each stage halves the resolution.
        blocks: Gated blocks of every stage, one number fewer than `dims`; further ones are not used.
    """

    def __init__(
        self,
        in_ch: int = 3,
        dims: Annotated[tuple[int, ...], Field(min_length=2)] = (64, 128, 192, 256),
        blocks: Annotated[tuple[int, ...], Field(min_length=1)] = (2, 3, 5),
    ) -> None:
        super().__init__()
        if len(blocks) < len(dims) - 1 or any(width % 8 for width in dims):
            raise ValueError("dims must be multiples of 8, and blocks must have a number for each but the first")
        first = dims[0]
        self.stem = nn.Sequential(
            SpectralConv2d(in_ch, first // 2, 3, 2, 1), nn.SiLU(), SpectralConv2d(first // 2, first, 3, 2, 1)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(SpectralConv2d(before, width, 3, 2, 1), *(GatedBlock(width) for _ in range(count)))
            for before, width, count in zip(dims, dims[1:], blocks, strict=False)
        )
        self.verdict = nn.Conv2d(dims[-1], 1, 1)

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, 1, h, w logits of B, 3, H, W images; the output of every stage is appended to `features`."""
        x = self.stem(images)
        for stage in self.stages:
            x = stage(x)
            if features is not None:
                features.append(x)
        return self.verdict(x)


class GatedBlock(nn.Module):
    """One half of the channels sees its surroundings at four distances and gates the other half."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.expand = SpectralConv2d(width, width * 2, 1)
        part = width // len(DILATIONS)
        self.context = nn.ModuleList(nn.Conv2d(part, part, 3, 1, d, d, groups=part) for d in DILATIONS)
        self.shrink = SpectralConv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return B, C, H, W for the same."""
        gate, content = self.expand(self.norm(x)).chunk(2, 1)
        parts = content.chunk(len(self.context), 1)
        seen = torch.cat([layer(part) for layer, part in zip(self.context, parts, strict=True)], 1)
        return x + self.shrink(torch.sigmoid(gate) * seen)
