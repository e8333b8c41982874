"""A discriminator that judges an image as a whole."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.traits import arch

SMALLEST = 4


@arch(discriminates=True, license="Apache-2.0")
class VGGStyleDiscriminator(nn.Module):
    """The discriminator of SRGAN and ESRGAN: one logit per image, which must be a square of a given size.

    Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", 2017. Weights
    of BasicSR's fit. It has batch normalization, so a batch is never split for lack of memory.

    Args:
        num_in_ch: Channels of the images.
        num_feat: Channels at full resolution; eight times as many is the most.
        input_size: Side of the images in pixels: the size of the ground truth's crops.
    """

    def __init__(
        self, num_in_ch: int = 3, num_feat: int = 64, input_size: Literal[32, 64, 128, 256, 512] = 128
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.stages = (input_size // SMALLEST).bit_length() - 1
        before = num_in_ch
        for stage in range(self.stages):
            width = min(num_feat * 2**stage, num_feat * 8)
            self.add_module(f"conv{stage}_0", nn.Conv2d(before, width, 3, 1, 1, bias=stage == 0))
            self.add_module(f"conv{stage}_1", nn.Conv2d(width, width, 4, 2, 1, bias=False))
            if stage:
                self.add_module(f"bn{stage}_0", nn.BatchNorm2d(width))
            self.add_module(f"bn{stage}_1", nn.BatchNorm2d(width))
            before = width
        self.linear1 = nn.Linear(before * SMALLEST**2, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return B, 1 logits of B, 3, `input_size`, `input_size` images; activations are appended to `features`.

        Raises:
            ValueError: the images have another size.
        """
        height, width = images.shape[-2:]
        if (height, width) != (self.input_size, self.input_size):
            raise ValueError(f"input_size is {self.input_size}, but the images have {width} x {height} pixels")
        x = images
        for stage in range(self.stages):
            for name in (f"{stage}_0", f"{stage}_1"):
                x = self.get_submodule(f"conv{name}")(x)
                x = self.get_submodule(f"bn{name}")(x) if name != "0_0" else x
                x = F.leaky_relu(x, 0.2)
            if features is not None:
                features.append(x)
        return self.linear2(F.leaky_relu(self.linear1(x.flatten(1)), 0.2))
