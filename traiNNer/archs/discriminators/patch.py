"""Discriminators that judge every patch."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.discriminators.spectral import SpectralConv2d
from traiNNer.archs.traits import arch

WIDEST = 512
KERNEL, PADDING = 4, 1
Layers = Annotated[int, Field(ge=1, le=6)]
Several = Annotated[int, Field(ge=1, le=6)]


@arch(least_size=32, discriminates=True, license="Apache-2.0")
class PatchGANDiscriminatorSN(nn.Module):
    """The PatchGAN discriminator with spectral normalization: one logit per patch.

    Isola et al., "Image-to-image translation with conditional adversarial networks", 2017. With three layers a patch
    has 70 pixels.

    Args:
        input_nc: Channels of the images.
        ndf: Channels of the first layer.
        n_layers: Layers that halve the resolution.
        use_sigmoid: Whether the verdict is between 0 and 1, which only `lsgan` can use, instead of a logit.
    """

    def __init__(self, input_nc: int = 3, ndf: int = 64, n_layers: Layers = 3, use_sigmoid: bool = False) -> None:
        super().__init__()
        self.model = patch_layers(input_nc, ndf, n_layers, use_sigmoid)

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, 1, h, w logits of B, 3, H, W images; the activations of every layer are appended to `features`."""
        return judge_patches(self.model, images, features)


@arch(least_size=128, discriminates=True, license="Apache-2.0")
class MultiscalePatchGANDiscriminatorSN(nn.Module):
    """Several PatchGAN discriminators, each for images of half the size of the one before: one mean logit for each.

    Wang et al., "High-resolution image synthesis and semantic manipulation with conditional GANs", 2018.

    Args:
        input_nc: Channels of the images.
        ndf: Channels of the first layer of each.
        n_layers: Layers of each that halve the resolution.
        use_sigmoid: Whether verdicts are between 0 and 1, which only `lsgan` can use, instead of logits.
        num_d: Number of discriminators.
    """

    def __init__(
        self,
        input_nc: int = 3,
        ndf: int = 64,
        n_layers: Layers = 3,
        use_sigmoid: bool = False,
        num_d: Several = 3,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(patch_layers(input_nc, ndf, n_layers, use_sigmoid) for _ in range(num_d))

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, `num_d` logits of B, 3, H, W images; the activations of every layer are appended to `features`."""
        verdicts = []
        for layers in self.layers:
            if verdicts:
                images = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)
            verdicts.append(judge_patches(layers, images, features).mean((1, 2, 3)))
        return torch.stack(verdicts, 1)


def patch_layers(channels: int, width: int, halvings: int, use_sigmoid: bool) -> nn.Sequential:
    """Return the layers of a PatchGAN discriminator."""
    widths = [min(width * 2**place, WIDEST) for place in range(halvings + 1)]
    layers: list[nn.Module] = []
    for place, wide in enumerate(widths):
        stride = 2 if place < halvings else 1
        layers += [SpectralConv2d(channels, wide, KERNEL, stride, PADDING), nn.LeakyReLU(0.2)]
        channels = wide
    layers.append(SpectralConv2d(channels, 1, KERNEL, 1, PADDING))
    return nn.Sequential(*layers, *([nn.Sigmoid()] if use_sigmoid else []))


def judge_patches(layers: nn.Module, images: Tensor, features: list[Tensor] | None) -> Tensor:
    """Return B, 1, h, w logits; append what follows each activation function to `features`."""
    x = images
    for layer in layers.children():
        x = layer(x)
        if features is not None and isinstance(layer, nn.LeakyReLU):
            features.append(x)
    return x
