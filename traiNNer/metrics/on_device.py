"""Luma error and structural similarity of images that are on a device already, in torch.

The definitions are those of `psnr` and `ssim`; nothing is copied to the host but the score. Errors are sums of whole
numbers, exact; similarity is float64, which every CUDA device has.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from traiNNer.metrics.large_images import LUMA, LUMA_UNIT
from traiNNer.metrics.ssim_window import C1, C2, SIGMA, WINDOW
from traiNNer.utils.color import RGB_TO_Y, Y_OFFSET

ROWS = 512
"""Rows of windows at once, which bounds the memory of the maps: a dozen of 8 MB for the luma of an image 2,040
pixels wide."""


def squared_error(first: Tensor, second: Tensor, of_luma: bool) -> float:
    """Return the mean squared difference of two H, W, 3 uint8 images, or of their luma (BT.601, studio range)."""
    weights = torch.tensor(LUMA[0].tolist(), dtype=torch.int64, device=first.device)
    total = torch.zeros((), dtype=torch.int64, device=first.device)
    for top in range(0, first.shape[0], ROWS):
        rows = slice(top, top + ROWS)
        apart = first[rows].long() - second[rows].long()
        total += ((apart * weights).sum(-1) if of_luma else apart).square().sum()
    if of_luma:
        return int(total) * LUMA_UNIT**2 / (first.shape[0] * first.shape[1])
    return int(total) / first.numel()


def similarity(first: Tensor, second: Tensor, of_luma: bool) -> float:
    """Return the mean SSIM of two H, W, 3 uint8 images over all windows inside, and channels or their luma."""
    total = torch.zeros((), dtype=torch.float64, device=first.device)
    count = 0
    for rows in _strips(first.shape[0]):
        found = _map(*(_planes(image[rows], of_luma) for image in (first, second)))
        total += found.sum()
        count += found.numel()
    return float(total) / count


def _strips(height: int) -> Iterator[slice]:
    """Return the rows of an image that hold each of its windows once."""
    for top in range(0, height - WINDOW + 1, ROWS):
        yield slice(top, min(top + ROWS + WINDOW - 1, height))


def _planes(image: Tensor, of_luma: bool) -> Tensor:
    """Turn H, W, 3 uint8 into C, 1, H, W float64 levels: three channels, or the luma."""
    levels = image.double()
    if of_luma:
        weights = torch.from_numpy(RGB_TO_Y).to(levels.device)
        return (levels @ weights + Y_OFFSET)[None, None]
    return levels.movedim(-1, 0).unsqueeze(1)


def _map(a: Tensor, b: Tensor) -> Tensor:
    mean_a, mean_b = _blur(a), _blur(b)
    means, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
    structure = (2 * (_blur(a * b) - means) + C2) / (_blur(a.square() + b.square()) - squares + C2)
    return (2 * means + C1) / (squares + C1) * structure


def _blur(planes: Tensor) -> Tensor:
    """Filter C, 1, H, W by the window, where it lies inside."""
    places = torch.arange(WINDOW, dtype=torch.float64, device=planes.device) - WINDOW // 2
    kernel = torch.exp(-places.square() / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    return F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
