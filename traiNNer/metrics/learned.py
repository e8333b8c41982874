"""Metrics that look through a trained network."""

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from traiNNer.errors import ConfigError
from traiNNer.metrics.protocol import Direction, comparable, size
from traiNNer.registry import METRICS
from traiNNer.utils.pretrained import cached_weights, read_weights

Backbone = Literal["alex", "vgg", "squeeze"]
SMALLEST_SIDE = 32


@METRICS.register(name="lpips")
class LPIPS:
    """Learned perceptual distance (the `lpips` package, version 0.1, on the CPU); 0 for equal images.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018. Always in RGB.

    Args:
        net: Network that is looked through; papers report `alex`.
        crop_border: Pixels left out on each side; by default the scale.
        weights: A copy of torchvision's weights of that network (.pth or .safetensors), for machines without network.

    Raises:
        ConfigError: the weights cannot be had, or are not those of the network.
    """

    direction: Direction = "lower"
    needs_target = True

    def __init__(
        self,
        scale: int,
        net: Backbone = "alex",
        crop_border: Annotated[int, Field(ge=0)] | None = None,
        weights: str | None = None,
    ) -> None:
        self.crop_border = scale if crop_border is None else crop_border
        path = cached_weights(_default_url(net), f"metric lpips (net: {net})") if weights is None else Path(weights)
        self._network = _bare_network(net)
        _fill_backbone(self._network.net, read_weights(path, "metric lpips"), net, path)

    def __call__(self, output: np.ndarray, target: np.ndarray | None) -> float:
        """Return the score of H, W, 3 RGB uint8 images.

        Raises:
            ValueError: the images cannot be compared, or are too small for the network.
        """
        first, second = comparable(output, target, self.crop_border)
        if min(first.shape[:2]) < SMALLEST_SIDE:
            raise ValueError(f"LPIPS needs a side of {SMALLEST_SIDE} pixels inside crop_border, not {size(first)}")
        with torch.inference_mode():
            return float(self._network(_to_tensor(first), _to_tensor(second)))


def _to_tensor(image: np.ndarray) -> Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0)
    return planes.float() / 127.5 - 1


def _default_url(net: Backbone) -> str:
    from torchvision import models

    weights: Any = {
        "alex": models.AlexNet_Weights.IMAGENET1K_V1,
        "vgg": models.VGG16_Weights.IMAGENET1K_V1,
        "squeeze": models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
    }[net]
    return weights.url


def _bare_network(net: Backbone) -> Any:
    """Build the metric with its own small weights but an empty backbone, leaving the random generator as it was."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # The package asks torchvision in a way that is deprecated since; nothing the user could do about it.
        warnings.simplefilter("ignore")
        import lpips

        return lpips.LPIPS(net=net, pnet_rand=True, verbose=False).requires_grad_(False).eval()


def _fill_backbone(backbone: nn.Module, state: dict[str, Tensor], net: Backbone, path: Path) -> None:
    """Copy torchvision's `features.N…` into the package's `sliceK.N…`. Raises `ConfigError` when they do not fit."""
    for name, own in backbone.state_dict().items():
        source = f"features.{name.partition('.')[2]}"
        value = state.get(source)
        if value is None or value.shape != own.shape:
            found = "is missing" if value is None else f"has shape {tuple(value.shape)}, not {tuple(own.shape)}"
            raise ConfigError(f"metric lpips: {path} does not fit net '{net}': '{source}' {found}")
        own.copy_(value)
