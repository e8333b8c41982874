"""Losses that compare local structure instead of single pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.registry import LOSSES

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2
LOG_BELOW = 0.05


@LOSSES.register(separable=True)
class MSSIMLoss(nn.Module):
    """One minus multi-scale structural similarity.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003: five scales,
    each half the one before, 11x11 Gaussian window (sigma 1.5, valid positions only), the paper's weights. A crop takes
    as many scales as still hold one window (96 px: four, 48 px: three), the weights rescaled to sum to one; with a
    single scale this is one minus SSIM. Every image and channel has its own value; the loss is their mean.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
        bell = torch.exp(-offsets.square() / (2 * SIGMA**2))
        self.register_buffer("window", (bell / bell.sum()).float().view(1, 1, 1, WINDOW), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1].

        Raises:
            ValueError: the images are smaller than the window.
        """
        x, y = output.float(), target.float()
        weights = weights_that_fit(min(x.shape[-2:]))
        logarithm = torch.zeros(x.shape[:2], device=x.device)
        for level, weight in enumerate(weights):
            is_last = level == len(weights) - 1
            similarity, contrast = self._compare(x, y)
            logarithm = logarithm + weight * _log(similarity if is_last else contrast)
            if not is_last:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return 1 - logarithm.exp().mean()

    def _compare(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean SSIM and mean contrast-structure, each B, C."""
        mean_x, mean_y, square, product = self._blur(torch.stack([x, y, x * x + y * y, x * y])).unbind()
        means, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
        contrast = (2 * (product - means) + C2) / (square - squares + C2)
        similarity = (2 * means + C1) / (squares + C1) * contrast
        return similarity.mean((-2, -1)), contrast.mean((-2, -1))

    def _blur(self, maps: Tensor) -> Tensor:
        # One depth-wise convolution over all planes: as a batch of one-channel images it is ten times slower on CPUs.
        planes = maps.reshape(1, -1, *maps.shape[-2:])
        count = planes.shape[1]
        kernel = self.window.expand(count, 1, 1, WINDOW)
        blurred = F.conv2d(F.conv2d(planes, kernel, groups=count), kernel.mT, groups=count)
        return blurred.view(*maps.shape[:-2], *blurred.shape[-2:])


def weights_that_fit(side: int) -> tuple[float, ...]:
    """Return the weights of the scales at which an image whose shorter side is `side` pixels holds a window."""
    count = sum(side >> level >= WINDOW for level in range(len(SCALE_WEIGHTS)))
    if count == 0:
        raise ValueError(f"MSSIMLoss needs images of at least {WINDOW}x{WINDOW} pixels; these have a side of {side}")
    total = sum(SCALE_WEIGHTS[:count])
    return tuple(weight / total for weight in SCALE_WEIGHTS[:count])


def _log(value: Tensor) -> Tensor:
    """Logarithm that continues as its tangent below `LOG_BELOW`.

    Similarities are near zero or negative early in training, where a power has no finite gradient and a clamp has none
    at all; the tangent keeps the product positive and the direction right.
    """
    tangent = (value - LOG_BELOW) / LOG_BELOW
    return value.clamp(min=LOG_BELOW).log() + tangent.clamp(max=0)
