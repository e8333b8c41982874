"""A loss between sets of features, wherever in the image they are."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.perceptual import ConvLayer, Factor, VggLayer
from traiNNer.losses.vgg_weights import vgg19_features
from traiNNer.registry import LOSSES

CALM = 1e-5


@LOSSES.register(separable=True)
class ContextualLoss(nn.Module):
    """Minus the logarithm of how well each feature of the ground truth is found anywhere in the output.

    Mechrez, Talmi and Zelnik-Manor, "The Contextual Loss for Image Transformation with Non-Aligned Data", ECCV 2018.
    It forgives what is shifted a little. Maps with more than `max_1d_size` positions in a direction are averaged in
    blocks first, since every position is compared with every other. VGG19 runs in float32, is never trained, and is
    not part of checkpoints.

    Args:
        layer_weights: Layers of VGG19, before (`conv…`) or after (`relu…`) the rectifier, with a factor each.
        max_1d_size: Most positions in a direction; memory grows with its fourth power.
        distance_type: How two features are compared: `cosine` after the mean of the ground truth is taken off, `l1`
            or `l2`.
        band_width: How far from the best match others still count; small is strict.
        pretrained: Use the ImageNet weights, downloaded once by torchvision's rules; `false` takes random features.
        weights: A copy of torchvision's vgg19 weights (.pth or .safetensors), for machines without network.

    Raises:
        ConfigError: the weights cannot be had, or are not those of VGG19.
        ValueError: all factors are zero.
    """

    def __init__(
        self,
        layer_weights: dict[VggLayer | ConvLayer, Factor] | None = None,
        max_1d_size: Annotated[int, Field(ge=2, le=128)] = 64,
        distance_type: Literal["cosine", "l1", "l2"] = "cosine",
        band_width: Annotated[float, Field(gt=0)] = 0.5,
        pretrained: bool = True,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        given = {"conv3_2": 1.0, "conv4_2": 1.0} if layer_weights is None else layer_weights
        self.factors: dict[str, float] = {str(name): factor for name, factor in given.items() if factor}
        if not self.factors:
            raise ValueError("the factors of layer_weights are all 0: leave the loss out instead")
        self.max_1d_size = max_1d_size
        self.distance_type = distance_type
        self.band_width = band_width
        self.features = vgg19_features("ContextualLoss", tuple(self.factors), pretrained, weights)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, [T,] 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are too small for the deepest layer.
        """
        with torch.no_grad():
            wanted = self.features(target)
        loss = torch.zeros((), device=output.device)
        for name, found, goal in zip(self.features.wanted, self.features(output), wanted, strict=True):
            distances = self._distances(self._points(found), self._points(goal))
            loss = loss + self.factors[name] * contextual(distances, self.band_width).mean()
        return loss

    def _points(self, maps: Tensor) -> Tensor:
        """Return features as B, positions, C."""
        block = -(-max(maps.shape[-2:]) // self.max_1d_size)
        small = F.avg_pool2d(maps, block, ceil_mode=True) if block > 1 else maps
        return small.flatten(2).mT

    def _distances(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Return the distance of every feature of the output to each of the ground truth, B, n, n."""
        if self.distance_type == "l1":
            return torch.cdist(found, wanted, p=1)
        if self.distance_type == "l2":
            difference = found.square().sum(2)[:, :, None] + wanted.square().sum(2)[:, None] - 2 * found @ wanted.mT
            return difference.clamp(min=0)
        center = wanted.mean(1, keepdim=True)
        return (1 - F.normalize(found - center, dim=2) @ F.normalize(wanted - center, dim=2).mT).clamp(min=0)


def contextual(distances: Tensor, band_width: float) -> Tensor:
    """Return minus the logarithm of the contextual similarity of each image, B, from B, n, n distances."""
    relative = distances / (distances.amin(2, keepdim=True) + CALM)
    shares = torch.softmax((1 - relative) / band_width, dim=2)
    return -shares.amax(1).mean(1).clamp(min=CALM).log()
