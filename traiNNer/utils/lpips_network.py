"""The network of LPIPS: the package's learned weights over a backbone of torchvision."""

import warnings
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement
from traiNNer.utils.fixed_network import fix, take
from traiNNer.utils.pretrained import cached_weights, read_weights

Backbone = Literal["alex", "vgg", "squeeze"]
PACKAGE = Requirement("lpips", "pip install 'trainner-sr[lpips]'")
SMALLEST_SIDE = 32
"""Side of the smallest image, in pixels, that every backbone takes."""


def lpips_network(net: Backbone, needed_by: str, weights: str | None = None) -> nn.Module:
    """Build LPIPS 0.1: two B, 3, H, W images in [-1, 1] to B, 1, 1, 1 distances.

    Args:
        net: The backbone.
        needed_by: What asks for it, for messages.
        weights: A copy of torchvision's weights of the backbone; by default torch's download cache.

    Raises:
        ConfigError: the package or the weights cannot be had, or they are not those of the backbone.
    """
    if not PACKAGE.is_met:
        raise ConfigError(f"{needed_by} {PACKAGE.reason}")
    path = cached_weights(_url(net), f"{needed_by} (net: {net})") if weights is None else Path(weights)
    network = _bare(net)
    _fill(network.net, read_weights(path, needed_by), f"net '{net}'", f"{needed_by}: {path}")
    return fix(network)


def random_lpips_network(net: Backbone) -> nn.Module:
    """Build it with random features, always the same; for trying a setup without the weights. Raises `ConfigError`."""
    if not PACKAGE.is_met:
        raise ConfigError(f"LPIPS {PACKAGE.reason}")
    network = _bare(net)
    random = torch.Generator().manual_seed(0)
    for name, value in network.net.state_dict().items():
        if name.endswith("weight"):
            value.copy_(torch.randn(value.shape, generator=random) * (2 / value[0].numel()) ** 0.5)
        else:
            value.zero_()
    return fix(network)


def _url(net: Backbone) -> str:
    from torchvision import models

    weights: Any = {
        "alex": models.AlexNet_Weights.IMAGENET1K_V1,
        "vgg": models.VGG16_Weights.IMAGENET1K_V1,
        "squeeze": models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
    }[net]
    return weights.url


def _bare(net: Backbone) -> Any:
    """Build the metric with its own small weights but an empty backbone, leaving the random generator as it was."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # The package asks torchvision in a way that is deprecated since; nothing the user could do about it.
        warnings.simplefilter("ignore")
        import lpips

        return lpips.LPIPS(net=net, pnet_rand=True, verbose=False).requires_grad_(False).eval()


def _fill(backbone: nn.Module, state: dict[str, Tensor], whose: str, title: str) -> None:
    """Copy torchvision's `features.N…` into the package's `sliceK.N…`. Raises `ConfigError` when they do not fit."""
    for name, own in backbone.state_dict().items():
        try:
            own.copy_(take(state, f"features.{name.partition('.')[2]}", own, whose))
        except ValueError as error:
            raise ConfigError(f"{title} {error}") from None
