"""The magic-kernel upsampler of ParagonSR2: sharpen, enlarge by repetition, smooth."""

import torch
from torch import Tensor, nn

from traiNNer.archs.paragonsr2.enlarged import enlarge

# Magic Kernel Sharp 2021, https://johncostella.com/magic/: the correction that makes the kernel's response flat.
SHARPEN_TAPS = tuple(tap / 144 for tap in (-1, 6, -35, 204, -35, 6, -1))
RESAMPLE_TAPS = tuple(tap / 16 for tap in (1, 4, 6, 4, 1))


class SeparableFilter(nn.Module):
    """A frozen horizontal, then vertical filter of every channel, zero-padded to the same size."""

    def __init__(self, channels: int, taps: tuple[float, ...]) -> None:
        super().__init__()
        size, pad = len(taps), len(taps) // 2
        self.conv_h = nn.Conv2d(channels, channels, (1, size), padding=(0, pad), groups=channels, bias=False)
        self.conv_v = nn.Conv2d(channels, channels, (size, 1), padding=(pad, 0), groups=channels, bias=False)
        for conv in (self.conv_h, self.conv_v):
            conv.requires_grad_(False)
            conv.weight.copy_(torch.tensor(taps).view(conv.weight.shape[2:]))

    def forward(self, x: Tensor) -> Tensor:
        """Filter B, C, H, W."""
        return self.conv_v(self.conv_h(x))

    def kernels(self) -> Tensor:
        """Return the equal two-dimensional kernels, C, 1, k, k."""
        return self.conv_v.weight.detach() * self.conv_h.weight.detach()


class MagicUpsampler(nn.Module):
    """B, C, H, W to B, C, scale*H, scale*W: `x + alpha * (sharpen(x) - x)`, nearest enlargement, resampling filter."""

    def __init__(self, channels: int, scale: int, alpha: float) -> None:
        super().__init__()
        self.scale = scale
        self.alpha = min(1.0, max(0.0, alpha))
        self.sharpen = SeparableFilter(channels, SHARPEN_TAPS)
        self.resample_conv = SeparableFilter(channels, RESAMPLE_TAPS)

    def forward(self, x: Tensor) -> Tensor:
        """Sharpen and enlarge."""
        return enlarge(self.sharpened(x), self.smooth, self.scale)

    def sharpened(self, x: Tensor) -> Tensor:
        """Return what is enlarged, B, C, H, W."""
        return x.lerp(self.sharpen(x), self.alpha) if self.alpha > 0 else x

    @property
    def smooth(self) -> tuple[Tensor, Tensor]:
        """The resampling filters along columns, C, 1, k, 1, and along rows, C, 1, 1, k."""
        return self.resample_conv.conv_v.weight, self.resample_conv.conv_h.weight
