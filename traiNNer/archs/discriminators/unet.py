"""Discriminators that judge every pixel."""

import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.discriminators.spectral import SpectralConv2d
from traiNNer.archs.traits import arch


@arch(least_size=8, discriminates=True, license="Apache-2.0")
class UNetDiscriminatorSN(nn.Module):
    """The U-Net discriminator of Real-ESRGAN, with spectral normalization: one logit per pixel.

    Wang et al., "Real-ESRGAN: Training real-world blind super-resolution with pure synthetic data", 2021. Weights of
    its discriminators fit.

    Args:
        num_in_ch: Channels of the images.
        num_feat: Channels at full resolution.
        skip_connection: Whether features are added across the U.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, skip_connection: bool = True) -> None:
        super().__init__()
        self.skip_connection = skip_connection
        width = num_feat
        self.conv0 = nn.Conv2d(num_in_ch, width, 3, 1, 1)
        self.conv1 = SpectralConv2d(width, width * 2, 4, 2, 1, bias=False)
        self.conv2 = SpectralConv2d(width * 2, width * 4, 4, 2, 1, bias=False)
        self.conv3 = SpectralConv2d(width * 4, width * 8, 4, 2, 1, bias=False)
        self.conv4 = SpectralConv2d(width * 8, width * 4, 3, 1, 1, bias=False)
        self.conv5 = SpectralConv2d(width * 4, width * 2, 3, 1, 1, bias=False)
        self.conv6 = SpectralConv2d(width * 2, width, 3, 1, 1, bias=False)
        self.conv7 = SpectralConv2d(width, width, 3, 1, 1, bias=False)
        self.conv8 = SpectralConv2d(width, width, 3, 1, 1, bias=False)
        self.conv9 = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, 1, H, W logits of B, 3, H, W images; activations of every size are appended to `features`."""
        seen = [_leaky(self.conv0(images))]
        for down in (self.conv1, self.conv2, self.conv3):
            seen.append(_leaky(down(seen[-1])))
        if features is not None:
            features.extend(seen[1:])
        x = seen.pop()
        for up in (self.conv4, self.conv5, self.conv6):
            skipped = seen.pop()
            x = F.interpolate(x, size=skipped.shape[-2:], mode="bilinear", align_corners=False)
            x = _leaky(up(x))
            x = x + skipped if self.skip_connection else x
            if features is not None:
                features.append(x)
        return self.conv9(_leaky(self.conv8(_leaky(self.conv7(x)))))


@arch(least_size=8, discriminates=True, license="Apache-2.0")
class DUnet(nn.Module):
    """A U-Net discriminator with Mish, in the manner of the community's DUnet: one logit per pixel.

    Upsampling is bilinear, where the original learns it, so its weights do not fit.

    Args:
        num_in_ch: Channels of the images.
        num_feat: Channels at full resolution.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64) -> None:
        super().__init__()
        width = num_feat
        self.start = nn.Conv2d(num_in_ch, width, 3, 1, 1)
        self.down = nn.ModuleList(SpectralConv2d(width * n, width * n * 2, 3, 2, 1) for n in (1, 2, 4))
        self.up = nn.ModuleList(SpectralConv2d(width * n, width * n // 2, 3, 1, 1) for n in (8, 4, 2))
        self.end = nn.ModuleList(SpectralConv2d(width, width, 3, 1, 1, bias=False) for _ in range(2))
        self.verdict = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, 1, H, W logits of B, 3, H, W images; activations of every size are appended to `features`."""
        seen = [self.start(images)]
        for down in self.down:
            seen.append(F.mish(down(seen[-1])))
        if features is not None:
            features.extend(seen[1:])
        x = seen.pop()
        for up in self.up:
            skipped = seen.pop()
            x = up(F.interpolate(x, size=skipped.shape[-2:], mode="bilinear", align_corners=False)) + skipped
            if features is not None:
                features.append(x)
        for end in self.end:
            x = F.mish(end(x))
        return self.verdict(x)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
