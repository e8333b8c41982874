"""A loss on what the discriminator sees of output and ground truth."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.losses.judge import Judge
from traiNNer.registry import LOSSES


@LOSSES.register(separable=True, adversarial=True)
class FeatureMatchingLoss(nn.Module):
    """Mean difference of the discriminator's inner activations for output and ground truth.

    Wang et al., "High-resolution image synthesis and semantic manipulation with conditional GANs", 2018. It steadies a
    GAN: the generator gets a goal that moves less than the verdict does. Every layer counts the same.

    Args:
        criterion: How two activations are compared: `l1` mean absolute or `l2` mean squared difference.
    """

    needs_features = True
    """Lets the model keep the activations of the discriminator."""

    def __init__(self, criterion: Literal["l1", "l2"] = "l1") -> None:
        super().__init__()
        self._distance = F.l1_loss if criterion == "l1" else F.mse_loss

    def forward(self, output: Tensor, target: Tensor, discriminator: Judge) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        pairs = zip(discriminator.features(output), discriminator.features(target), strict=True)
        return torch.stack([self._distance(found.float(), wanted.float()) for found, wanted in pairs]).mean()
