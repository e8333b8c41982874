"""A loss on what a classification network sees instead of on pixels."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from traiNNer.losses.distances import Criterion, distance
from traiNNer.losses.vgg import needed_layers
from traiNNer.losses.vgg_weights import vgg19_features
from traiNNer.registry import LOSSES

Factor = Annotated[float, Field(ge=0)]
VggLayer = Literal[
    "relu1_1", "relu1_2",
    "relu2_1", "relu2_2",
    "relu3_1", "relu3_2", "relu3_3", "relu3_4",
    "relu4_1", "relu4_2", "relu4_3", "relu4_4",
    "relu5_1", "relu5_2", "relu5_3", "relu5_4",
]  # fmt: skip
ConvLayer = Literal[
    "conv1_1", "conv1_2",
    "conv2_1", "conv2_2",
    "conv3_1", "conv3_2", "conv3_3", "conv3_4",
    "conv4_1", "conv4_2", "conv4_3", "conv4_4",
    "conv5_1", "conv5_2", "conv5_3", "conv5_4",
]  # fmt: skip


@LOSSES.register(separable=True)
class PerceptualLoss(nn.Module):
    """Distance between the VGG19 features of output and ground truth, and between their Gram matrices (style).

    Johnson, Alahi and Fei-Fei, "Perceptual losses for real-time style transfer and super-resolution", 2016. The
    features of a layer are compared after the rectifier (`relu…`) or before it (`conv…`), layers are added up. VGG19
    runs in float32, is never trained, and is not part of checkpoints.

    Args:
        layers: Layers of VGG19 to compare, `relu1_1` to `relu5_4`, all with factor 1.
        layer_weights: Layers with a factor each, instead of `layers`. Those of ESRGAN and traiNNer-redux are
            `{conv1_2: 0.1, conv2_2: 0.1, conv3_4: 1, conv4_4: 1, conv5_4: 1}`.
        perceptual_weight: Factor of the difference of features.
        style_weight: Factor of the difference of Gram matrices; 0 leaves style out.
        criterion: How two feature maps are compared: `l1` mean absolute difference, `l2` mean squared,
            `charbonnier` absolute with a round bottom.
        pretrained: Use the ImageNet weights, downloaded once by torchvision's rules; `false` takes random features.
        weights: A copy of torchvision's vgg19 weights (.pth or .safetensors), for machines without network.

    Raises:
        ConfigError: the weights cannot be had, or are not those of VGG19.
        ValueError: an unknown layer, or all factors are zero.
    """

    def __init__(
        self,
        layers: Annotated[tuple[VggLayer, ...], Field(min_length=1)] = ("relu1_2", "relu2_2", "relu3_4"),
        perceptual_weight: Factor = 1.0,
        style_weight: Factor = 0.0,
        criterion: Criterion = "l1",
        pretrained: bool = True,
        weights: str | None = None,
        layer_weights: dict[VggLayer | ConvLayer, Factor] | None = None,
    ) -> None:
        super().__init__()
        given = dict.fromkeys(layers, 1.0) if layer_weights is None else layer_weights
        self.factors: dict[str, float] = {str(name): factor for name, factor in given.items()}
        needed_layers(tuple(self.factors))
        if not any(self.factors.values()):
            raise ValueError("the factors of layer_weights are all 0: leave the loss out instead")
        if perceptual_weight == 0 and style_weight == 0:
            raise ValueError("perceptual_weight and style_weight are both 0: leave the loss out instead")
        self.perceptual_weight = perceptual_weight
        self.style_weight = style_weight
        self._distance = distance(criterion)
        self.features = vgg19_features(
            "PerceptualLoss", [name for name, factor in self.factors.items() if factor], pretrained, weights
        )

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        with torch.no_grad():
            wanted = self.features(target)
        loss = torch.zeros((), device=output.device)
        for name, found, goal in zip(self.features.wanted, self.features(output), wanted, strict=True):
            if self.perceptual_weight:
                loss = loss + self.factors[name] * self.perceptual_weight * self._distance(found, goal)
            if self.style_weight:
                loss = loss + self.factors[name] * self.style_weight * self._distance(gram(found), gram(goal))
        return loss


def gram(features: Tensor) -> Tensor:
    """Return the B, C, C products of all channel pairs of B, C, H, W features, per element and channel."""
    rows = features.flatten(2)
    return rows @ rows.mT / (rows.shape[1] * rows.shape[2])
