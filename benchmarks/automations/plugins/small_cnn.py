"""A network of 23,000 parameters without normalization: the convolutional counterpart of paragonsr2_nano."""

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.registry import ARCHS

Count = Annotated[int, Field(ge=1)]


@ARCHS.register()
class SmallCNN(nn.Module):
    """Convolutions at LQ size and a pixel shuffle, added to the bicubic upscaling.

    Args:
        scale: How many times larger the output is; filled in by the framework.
        features: Channels of the hidden layers.
        layers: Hidden layers between the first and the last convolution.
    """

    def __init__(self, scale: int, features: Count = 32, layers: Count = 2) -> None:
        super().__init__()
        self.scale = scale
        hidden = [nn.Conv2d(features, features, 3, padding=1) for _ in range(layers)]
        self.body = nn.ModuleList([nn.Conv2d(3, features, 3, padding=1), *hidden])
        self.last = nn.Conv2d(features, 3 * scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W in [0, 1] to B, 3, sH, sW."""
        enlarged = F.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False)
        for layer in self.body:
            x = F.leaky_relu(layer(x), 0.1)
        return F.pixel_shuffle(self.last(x), self.scale) + enlarged
