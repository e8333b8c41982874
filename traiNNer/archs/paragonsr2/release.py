"""The inference-only form of ParagonSR2: convolutions and a pixel shuffle, all else folded into weights."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.paragonsr2.layers import LEAK, ParagonBlock, ResidualGroup, fold_scale
from traiNNer.archs.paragonsr2.upsampler import MagicUpsampler


def frozen_conv(weight: Tensor, bias: Tensor | None, groups: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the image's size and holds copies of the given weights, without gradient."""
    out_channels, in_channels, height, width = weight.shape
    size, padding = (height, width), (height // 2, width // 2)
    conv = nn.Conv2d(
        in_channels * groups, out_channels, size, padding=padding, groups=groups, bias=bias is not None
    ).requires_grad_(False)
    conv.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return conv


class ReleasedBlock(nn.Module):
    """A block whose layer scales, context residual and tracked kernel are ordinary convolution weights."""

    def __init__(self, block: ParagonBlock) -> None:
        super().__init__()
        transformer = block.transformer
        kernels, biases = block.context.folded(block.ls1)
        self.parts = [kernel.shape[0] for kernel in kernels]
        pairs = zip(kernels, biases, strict=True)
        self.context = nn.ModuleList(frozen_conv(kernel, bias, kernel.shape[0]) for kernel, bias in pairs)
        self.project_in = frozen_conv(transformer.project_in.weight, transformer.project_in.bias)
        kernel = transformer.shipped_kernel()
        self.stencil = frozen_conv(kernel, None, kernel.shape[0])
        self.project_out = frozen_conv(*fold_scale(transformer.project_out, block.ls2))
        self.attention = copy.deepcopy(block.attention)
        if self.attention is not None and block.ls3 is not None:
            self.attention.proj = frozen_conv(*fold_scale(self.attention.proj, block.ls3))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        parts = x.split(self.parts, dim=1)
        x = torch.cat([conv(part) for conv, part in zip(self.context, parts, strict=True)], dim=1)
        x = x + self.project_out(F.leaky_relu(self.stencil(self.project_in(x)), LEAK))
        return x if self.attention is None else x + self.attention(x)


class ReleasedGroup(nn.Module):
    """Blocks in sequence, plus the group's input."""

    def __init__(self, group: ResidualGroup) -> None:
        super().__init__()
        blocks = [block for block in group.blocks if isinstance(block, ParagonBlock)]
        self.blocks = nn.Sequential(*(ReleasedBlock(block) for block in blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.blocks(x) + x


class ReleasedUpsampler(nn.Module):
    """Two depth-wise convolutions and a pixel shuffle.

    Sharpening and enlargement stay apart, because the zero padding between them makes their product inexact at the
    border; without sharpening (alpha 0) only the second remains.
    """

    def __init__(self, upsampler: MagicUpsampler) -> None:
        super().__init__()
        self.scale = upsampler.scale
        kernels = upsampler.resample_conv.kernels()
        channels = kernels.shape[0]
        self.sharpen: nn.Module = nn.Identity()
        if upsampler.alpha > 0:
            kernel = upsampler.sharpen.kernels() * upsampler.alpha
            kernel[..., kernel.shape[-2] // 2, kernel.shape[-1] // 2] += 1 - upsampler.alpha
            self.sharpen = frozen_conv(kernel, None, channels)
        self.enlarge = frozen_conv(phase_kernels(kernels, self.scale), None, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, C, scale*H, scale*W."""
        return F.pixel_shuffle(self.enlarge(self.sharpen(x)), self.scale)


def phase_kernels(kernels: Tensor, scale: int) -> Tensor:
    """Return filters (C*scale*scale, 1, n, n) of the small image equal to `kernels` (C, 1, k, k) of the enlarged one.

    Enlarged means each pixel repeated `scale` times both ways; a pixel shuffle puts the phases into place. Zero padding
    agrees too: a repeated pixel lies outside the enlarged image exactly where its original lies outside.
    """
    radius = kernels.shape[-1] // 2
    reach = -(-radius // scale)
    phases = torch.arange(scale).view(-1, 1)
    taps = torch.arange(kernels.shape[-1]) - radius
    # 1 where tap t of phase p falls on source pixel n
    source = torch.div(phases + taps, scale, rounding_mode="floor") + reach
    falls = F.one_hot(source, 2 * reach + 1).to(kernels)
    return torch.einsum("cuv,pum,qvn->cpqmn", kernels[:, 0], falls, falls).flatten(0, 2).unsqueeze(1)


class ReleasedParagonSR2(nn.Module):
    """Computes the evaluation function of a trained ParagonSR2 from folded copies of its weights."""

    def __init__(self, network: nn.ModuleDict, groups: list[ResidualGroup], upsampler: MagicUpsampler) -> None:
        super().__init__()
        plain = copy.deepcopy(network).requires_grad_(False)
        self.conv_in = plain["conv_in"]
        self.body = nn.Sequential(*(ReleasedGroup(group) for group in groups))
        self.conv_fuse = plain["conv_fuse"]
        self.magic_upsampler = ReleasedUpsampler(upsampler)
        self.hr_conv_in = plain["hr_conv_in"]
        self.hr_head = plain["hr_head"]
        self.conv_out = plain["conv_out"]
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Map B, in_chans, H, W in [0, 1] to B, in_chans, scale*H, scale*W, not clamped."""
        f = self.conv_in(x)
        u = self.magic_upsampler(self.conv_fuse(self.body(f)) + f)
        return self.conv_out(self.hr_head(self.hr_conv_in(u)))
