"""Error diffusion (Floyd and Steinberg, "An adaptive algorithm for spatial grayscale", 1976) of a batch, on any device.

A pixel waits for its left neighbor and three above it. So all pixels with the same `column + 2 * row` are made at once:
`width + 2 * height` steps instead of one for each pixel, with the same result.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RIGHT, BELOW_LEFT, BELOW, BELOW_RIGHT = 7 / 16, 3 / 16, 5 / 16, 1 / 16
"""What each neighbor gets of the error of a pixel."""


def diffused(images: Tensor, steps: Tensor, sizes: np.ndarray) -> Tensor:
    """Return the images in few levels, B, C, H, W; what a pixel is wrong by is added to its neighbors to come.

    Args:
        images: B, C, H, W float32 in [0, 1].
        steps: B, 1, 1, 1: levels of each image, less one.
        sizes: B, 2: rows and columns of each image; from beyond them no error comes back.
    """
    height, width = images.shape[-2:]
    inside = _sheared(_inside(images, sizes))
    fronts = _sheared(images).unbind(-1)
    steps = steps.squeeze(-1)
    one = two = three = torch.zeros_like(fronts[0])  # errors of the last fronts, B, C, H
    made = []
    for front, counts in zip(fronts, inside.unbind(-1), strict=True):
        above = BELOW_LEFT * one + BELOW * two + BELOW_RIGHT * three
        wanted = front + RIGHT * one + F.pad(above, (1, 0))[..., :-1]
        made.append((torch.floor(wanted * steps + 0.5).clamp(min=0).minimum(steps)) / steps)
        one, two, three = (wanted - made[-1]) * counts, one, two
    return _straight(torch.stack(made, dim=-1), height, width)


def _inside(images: Tensor, sizes: np.ndarray) -> Tensor:
    """Return 1 inside each image and 0 beyond its last row and column, B, 1, H, W."""
    rows, columns = (np.arange(side) < sizes[:, axis, None] for axis, side in enumerate(images.shape[-2:]))
    both = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.from_numpy(both.astype(np.float32)).to(images.device)


def _sheared(images: Tensor) -> Tensor:
    """Move every row to the right by twice its number, B, C, H, W + 2 H - 2; zeros fill the rest."""
    height, width = images.shape[-2:]
    places = torch.arange(width, device=images.device) + 2 * torch.arange(height, device=images.device)[:, None]
    wide = images.new_zeros(*images.shape[:-1], width + 2 * height - 2)
    return wide.scatter(-1, places.expand(images.shape), images)


def _straight(wide: Tensor, height: int, width: int) -> Tensor:
    """Undo `_sheared`."""
    places = torch.arange(width, device=wide.device) + 2 * torch.arange(height, device=wide.device)[:, None]
    return wide.gather(-1, places.expand(*wide.shape[:-1], width))
