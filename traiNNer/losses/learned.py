"""Losses that were learned from what people find similar."""

import warnings

from torch import Tensor, nn

from traiNNer.losses.distances import frames
from traiNNer.registry import LOSSES
from traiNNer.utils.dists_network import dists_network, random_dists_network
from traiNNer.utils.lpips_network import SMALLEST_SIDE, Backbone, lpips_network, random_lpips_network


@LOSSES.register(separable=True)
class LPIPSLoss(nn.Module):
    """Learned perceptual distance.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018 (the package `lpips`,
    version 0.1). It runs in float32, is never trained, and is not part of checkpoints. Do not judge a run by the
    LPIPS of the same network that it was trained with.

    Args:
        net: Network that is looked through; `vgg` has the smoothest gradients.
        pretrained: Use the ImageNet weights, downloaded once by torchvision's rules; `false` takes random features.
        weights: A copy of torchvision's weights of that network (.pth or .safetensors), for machines without network.

    Raises:
        ConfigError: the weights cannot be had, or are not those of the network.
    """

    def __init__(self, net: Backbone = "vgg", pretrained: bool = True, weights: str | None = None) -> None:
        super().__init__()
        if not pretrained:
            _warn("LPIPSLoss")
        self.network = lpips_network(net, "LPIPSLoss", weights) if pretrained else random_lpips_network(net)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are too small for the network.
        """
        if min(output.shape[-2:]) < SMALLEST_SIDE:
            raise ValueError(f"LPIPSLoss needs images of at least {SMALLEST_SIDE} pixels")
        return self.network(2 * frames(output) - 1, 2 * frames(target) - 1).mean()


@LOSSES.register(separable=True)
class DISTSLoss(nn.Module):
    """Deep similarity of structure and texture.

    Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020. Grass
    may be other grass: textures are compared by their statistics. It runs in float32, is never trained, and is not
    part of checkpoints.

    Args:
        pretrained: Use the ImageNet weights, downloaded once by torchvision's rules, and the learned ones of the
            package `dists-pytorch`; `false` takes random features.
        weights: A copy of torchvision's vgg16 weights (.pth or .safetensors), for machines without network.
        dists_weights: A copy of the `weights.pt` of DISTS, where the package is not installed.

    Raises:
        ConfigError: the weights cannot be had, or do not fit.
    """

    def __init__(self, pretrained: bool = True, weights: str | None = None, dists_weights: str | None = None) -> None:
        super().__init__()
        if not pretrained:
            _warn("DISTSLoss")
        self.network = dists_network("DISTSLoss", weights, dists_weights) if pretrained else random_dists_network()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are too small for the network.
        """
        return self.network(frames(output), frames(target)).mean()


def _warn(name: str) -> None:
    warnings.warn(f"{name}: pretrained is false, so it compares random features", stacklevel=3)
