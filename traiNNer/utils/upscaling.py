"""The one way in which whole images are upscaled: padded to sizes that the network takes, computed, and cut back."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from traiNNer.traits import ArchTraits
from traiNNer.utils.tiles import GRID, run_tiled


@dataclass(frozen=True)
class Tiling:
    """Tiles of `size` LQ pixels, each with `overlap` pixels of context on every side; size 0: the whole image.

    `at_once` tiles of one size are computed together.
    """

    size: int = 0
    overlap: int = 0
    at_once: int = 1


def upscale_image(
    network: Callable[[Tensor], Tensor], lq: Tensor, scale: int, traits: ArchTraits, tiling: Tiling | None = None
) -> Tensor:
    """Return images upscaled by a network, whatever their size: B, C, H, W to B, C', scale*H, scale*W.

    Where the network takes only some sizes the images are reflected beyond their right and lower borders, and the
    output is cut back. Sizes that it takes go through untouched.

    Args:
        network: Upscales B, C, h, w by `scale`, for all h and w that `traits` allow.
        lq: The images.
        scale: Upscaling factor of the network.
        traits: What the network's arch declares.
        tiling: How large images are divided; None: not at all.

    Raises:
        ValueError: the network returned a tile of another size, or the tiling is out of range.
    """
    height, width = lq.shape[-2:]
    padded = reflect(lq, traits.fitting(height), traits.fitting(width))
    if tiling is None or not tiling.size:
        output = network(padded)
    else:
        grid, least = math.lcm(GRID, traits.size_multiple), traits.fitting(1)
        output = run_tiled(network, padded, scale, tiling.size, tiling.overlap, grid, least, tiling.at_once)
    return output if padded is lq else output[..., : height * scale, : width * scale]


def reflect(images: Tensor, height: int, width: int) -> Tensor:
    """Return B, C, h, w images extended to the given size by reflection, as often as it takes for small ones."""
    for axis, size in ((-2, height), (-1, width)):
        if images.shape[axis] < size:
            images = images.index_select(axis, _reflected(images.shape[axis], size, images.device))
    return images


def _reflected(side: int, size: int, device: torch.device) -> Tensor:
    """Return which pixels of `side` stand at 0 … size - 1: 0 1 2 1 0 1 2 … for a side of 3."""
    period = max(1, 2 * (side - 1))
    place = torch.arange(size, device=device) % period
    return torch.where(place < side, place, period - place)
