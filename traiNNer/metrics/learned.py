"""Metrics that look through a trained network."""

from functools import lru_cache
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from traiNNer.metrics.protocol import Direction, comparable, size
from traiNNer.registry import METRICS
from traiNNer.utils.dists_network import dists_network
from traiNNer.utils.lpips_network import SMALLEST_SIDE, Backbone, lpips_network


@METRICS.register(name="lpips")
class LPIPS:
    """Learned perceptual distance (the `lpips` package, version 0.1); 0 for equal images.

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
        self.network = _lpips(net, weights)

    def __call__(self, output: np.ndarray, target: np.ndarray | None) -> float:
        """Return the score of H, W, 3 RGB uint8 images.

        Raises:
            ValueError: the images cannot be compared, or are too small for the network.
        """
        first, second = comparable(output, target, self.crop_border)
        if min(first.shape[:2]) < SMALLEST_SIDE:
            raise ValueError(f"LPIPS needs a side of {SMALLEST_SIDE} pixels inside crop_border, not {size(first)}")
        with torch.inference_mode():
            a, b = (2 * _planes(image, self.network) - 1 for image in (first, second))
            return float(self.network(a, b))


@METRICS.register(name="dists")
class DISTS:
    """Deep similarity of structure and texture; 0 for equal images.

    Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020. Always
    in RGB, at the size of the image.

    Args:
        crop_border: Pixels left out on each side; by default the scale.
        weights: A copy of torchvision's vgg16 weights (.pth or .safetensors), for machines without network.
        dists_weights: A copy of the `weights.pt` of the package `dists-pytorch`, where it is not installed.

    Raises:
        ConfigError: the weights cannot be had, or do not fit.
    """

    direction: Direction = "lower"
    needs_target = True

    def __init__(
        self,
        scale: int,
        crop_border: Annotated[int, Field(ge=0)] | None = None,
        weights: str | None = None,
        dists_weights: str | None = None,
    ) -> None:
        self.crop_border = scale if crop_border is None else crop_border
        self.network = _dists(weights, dists_weights)

    def __call__(self, output: np.ndarray, target: np.ndarray | None) -> float:
        """Return the score of H, W, 3 RGB uint8 images.

        Raises:
            ValueError: the images cannot be compared, or are too small for the network.
        """
        first, second = comparable(output, target, self.crop_border)
        with torch.inference_mode():
            return float(self.network(_planes(first, self.network), _planes(second, self.network)))


# A run builds its metrics several times: to try them, for their directions, for every set.
_lpips = lru_cache(maxsize=4)(lambda net, weights: lpips_network(net, "metric lpips", weights))
_dists = lru_cache(maxsize=4)(lambda weights, shares: dists_network("metric dists", weights, shares))


def _planes(image: np.ndarray, network: nn.Module) -> Tensor:
    """Return an H, W, 3 uint8 image as 1, 3, H, W float32 in [0, 1], where a fixed network is."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0)
    return planes.to(next(network.buffers())) / 255
