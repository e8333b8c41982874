"""What structural similarity is made of: Gaussian windows, and local means, contrasts and structures."""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def gaussian(size: int, sigma: float) -> Tensor:
    """Return the weights of a Gaussian window, 1, 1, 1, `size`, float32 with the sum one."""
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    bell = torch.exp(-offsets.square() / (2 * sigma**2))
    return (bell / bell.sum()).float().view(1, 1, 1, size)


def blurred(maps: Tensor, window: Tensor) -> Tensor:
    """Return maps …, H, W blurred along both axes, only where the window lies inside."""
    # One depth-wise convolution over all planes: as a batch of one-channel images it is ten times slower on CPUs.
    planes = maps.reshape(1, -1, *maps.shape[-2:])
    count = planes.shape[1]
    kernel = window.expand(count, 1, 1, window.shape[-1])
    result = F.conv2d(F.conv2d(planes, kernel, groups=count), kernel.mT, groups=count)
    return result.view(*maps.shape[:-2], *result.shape[-2:])


def similarity_maps(x: Tensor, y: Tensor, window: Tensor, c1: float = C1, c2: float = C2) -> tuple[Tensor, Tensor]:
    """Return SSIM and its contrast-structure part of every window in two B, C, H, W images of [0, 1]."""
    mean_x, mean_y, square, product = blurred(torch.stack([x, y, x * x + y * y, x * y]), window).unbind()
    means, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    contrast = (2 * (product - means) + c2) / (square - squares + c2)
    return (2 * means + c1) / (squares + c1) * contrast, contrast
