"""A loss on what a classification network sees instead of on pixels."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.errors import ConfigError
from traiNNer.losses.vgg import Vgg19Features, needed_layers, random_state
from traiNNer.registry import LOSSES
from traiNNer.utils.pretrained import cached_weights, read_weights

Factor = Annotated[float, Field(ge=0)]
VggLayer = Literal[
    "relu1_1", "relu1_2",
    "relu2_1", "relu2_2",
    "relu3_1", "relu3_2", "relu3_3", "relu3_4",
    "relu4_1", "relu4_2", "relu4_3", "relu4_4",
    "relu5_1", "relu5_2", "relu5_3", "relu5_4",
]  # fmt: skip


@LOSSES.register(separable=True)
class PerceptualLoss(nn.Module):
    """Distance between the VGG19 features of output and ground truth, and between their Gram matrices (style).

    Johnson, Alahi and Fei-Fei, "Perceptual losses for real-time style transfer and super-resolution", 2016. Features
    are compared after the rectifier by their mean absolute difference, layers are added up. VGG19 runs in float32, is
    never trained, and is not part of checkpoints.

    Args:
        layers: Layers of VGG19 to compare, `relu1_1` to `relu5_4`.
        perceptual_weight: Factor of the difference of features.
        style_weight: Factor of the difference of Gram matrices; 0 leaves style out.
        criterion: How two feature maps are compared: `l1` mean absolute or `l2` mean squared difference.
        pretrained: Use the ImageNet weights, downloaded once by torchvision's rules; `false` takes random features.
        weights: A copy of torchvision's vgg19 weights (.pth or .safetensors), for machines without network.

    Raises:
        ConfigError: the weights cannot be had, or are not those of VGG19.
        ValueError: an unknown layer, or both factors are zero.
    """

    def __init__(
        self,
        layers: Annotated[tuple[VggLayer, ...], Field(min_length=1)] = ("relu1_2", "relu2_2", "relu3_4"),
        perceptual_weight: Factor = 1.0,
        style_weight: Factor = 0.0,
        criterion: Literal["l1", "l2"] = "l1",
        pretrained: bool = True,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        needed_layers(layers)
        if perceptual_weight == 0 and style_weight == 0:
            raise ValueError("perceptual_weight and style_weight are both 0: leave the loss out instead")
        self.perceptual_weight = perceptual_weight
        self.style_weight = style_weight
        self._distance = F.l1_loss if criterion == "l1" else F.mse_loss
        self.features = _build_features(layers, pretrained, weights)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        with torch.no_grad():
            wanted = self.features(target)
        loss = torch.zeros((), device=output.device)
        for found, goal in zip(self.features(output), wanted, strict=True):
            if self.perceptual_weight:
                loss = loss + self.perceptual_weight * self._distance(found, goal)
            if self.style_weight:
                loss = loss + self.style_weight * self._distance(gram(found), gram(goal))
        return loss


def gram(features: Tensor) -> Tensor:
    """Return the B, C, C products of all channel pairs of B, C, H, W features, per element and channel."""
    rows = features.flatten(2)
    return rows @ rows.mT / (rows.shape[1] * rows.shape[2])


def _build_features(layers: tuple[str, ...], pretrained: bool, weights: str | None) -> Vgg19Features:
    if not pretrained:
        if weights is not None:
            raise ConfigError("PerceptualLoss: `weights` is given but `pretrained` is false; remove one of them")
        warnings.warn("PerceptualLoss: pretrained is false, so it compares random features of VGG19", stacklevel=3)
        return Vgg19Features(layers, random_state(layers))
    path = _default_weights() if weights is None else Path(weights)
    state = _with_prefix(read_weights(path, "PerceptualLoss"))
    try:
        return Vgg19Features(layers, state)
    except ValueError as error:
        raise ConfigError(f"PerceptualLoss: {path} does not fit: {error}") from error


def _default_weights() -> Path:
    from torchvision.models import VGG19_Weights

    return cached_weights(VGG19_Weights.IMAGENET1K_V1.url, "PerceptualLoss (pretrained: true)")


def _with_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Accept the tensors of `vgg19().features` alone, whose names lack the prefix."""
    return {f"features.{name}": value for name, value in state.items()} if "0.weight" in state else state
