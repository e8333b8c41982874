"""What every degradation is: a function of (images, draws), written for a batch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from traiNNer.degradations.draws import Draws

Span = tuple[float, float]
Share = Annotated[float, Field(ge=0, le=1)]
Weights = tuple[Annotated[float, Field(ge=0)], ...]


@dataclass(frozen=True)
class Images:
    """Images of several sizes in one tensor.

    Each lies in the top left corner; beyond it, its last row and column repeat. So whatever extends an image at its
    border in that way finds the same there as if the image were alone.

    Args:
        pixels: B, C, H, W float32 in [0, 1].
        sizes: B, 2 int64: rows and columns of each image.
    """

    pixels: Tensor
    sizes: np.ndarray

    @classmethod
    def of(cls, pixels: Tensor) -> "Images":
        """Return images that fill their tensor."""
        return cls(pixels, np.tile(np.asarray(pixels.shape[-2:], dtype=np.int64), (len(pixels), 1)))

    @property
    def are_full(self) -> bool:
        """Whether every image fills the tensor."""
        return bool((self.sizes == self.pixels.shape[-2:]).all())

    def with_pixels(self, pixels: Tensor) -> "Images":
        """Return other pixels in the same sizes, extended and clamped."""
        pixels = pixels.clamp(0, 1)
        if self.are_full:
            return Images(pixels, self.sizes)
        for axis, dim in ((0, 2), (1, 3)):
            places = np.minimum(np.arange(pixels.shape[dim]), self.sizes[:, axis, None] - 1)
            shape = [len(pixels), 1, 1, 1]
            shape[dim] = -1
            index = torch.from_numpy(places).to(pixels.device).view(shape).expand(pixels.shape)
            pixels = pixels.gather(dim, index)
        return Images(pixels, self.sizes)

    def part(self, chosen: np.ndarray) -> "Images":
        """Return some of the images, without the rows and columns that none of them fills."""
        if len(chosen) == len(self.sizes) and self.are_full:
            return self
        sizes = self.sizes[chosen]
        height, width = sizes.max(axis=0)
        index = torch.from_numpy(chosen).to(self.pixels.device)
        return Images(self.pixels[index, :, : int(height), : int(width)], sizes)

    def replaced(self, chosen: np.ndarray, others: "Images") -> "Images":
        """Return the images with `others` in the places `chosen`."""
        if len(chosen) == len(self.sizes):
            return others
        sizes = self.sizes.copy()
        sizes[chosen] = others.sizes
        height, width = (int(side) for side in sizes.max(axis=0))
        pixels = _grown(self.pixels, height, width).clone()
        pixels[torch.from_numpy(chosen).to(pixels.device)] = _grown(others.pixels, height, width)
        return Images(pixels, sizes)


def _grown(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return the tensor with so many rows and columns: the last ones repeated, or those beyond dropped."""
    rows = torch.arange(height, device=pixels.device).clamp(max=pixels.shape[2] - 1)
    columns = torch.arange(width, device=pixels.device).clamp(max=pixels.shape[3] - 1)
    return pixels[:, :, rows][:, :, :, columns]


class Degradation(ABC):
    """A step that keeps the size. It is complete when it is built, and remembers nothing."""

    @abstractmethod
    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return B, C, H, W float32 of the same shape; what leaves [0, 1] is clamped afterwards.

        No image may depend on another one, nor on anything but its pixels and its draws.

        Args:
            images: B, C, H, W float32 in [0, 1].
            draws: where every random number comes from, by name.
        """

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the same of a single image on the CPU in less time, but for rounding; `__call__` is the definition."""
        return self(images, draws)

    def on(self, images: Images, draws: Draws) -> Images:
        """Return the same for images of several sizes: what lies beyond an image counts as its border."""
        return images.with_pixels(self(images.pixels, draws))


class Resizing(ABC):
    """A step that changes the size."""

    @abstractmethod
    def __call__(self, images: Images, draws: Draws, target: np.ndarray) -> Images:
        """Return the images in other sizes.

        Args:
            images: images of several sizes.
            draws: where every random number comes from, by name.
            target: rows and columns of each LQ image, B, 2.
        """


def column(values: np.ndarray, like: Tensor) -> Tensor:
    """Return one number per image as B, 1, 1, 1 float32, to be combined with images."""
    return torch.from_numpy(values.astype(np.float32)).to(like.device).view(-1, 1, 1, 1)


def require_weights(names: Sequence[str], weights: Weights, option: str) -> None:
    """Raise `ValueError` where weights do not fit the names that they are for."""
    if weights and (len(weights) != len(names) or sum(weights) <= 0):
        raise ValueError(f"{option} needs {len(names)} numbers, not all 0: one for each of {', '.join(names)}")


def require_span(span: Span, option: str, least: float = 0.0) -> None:
    """Raise `ValueError` unless a span is in order and not below `least`."""
    if not least <= span[0] <= span[1]:
        raise ValueError(f"{option} must be [least, most], not below {least:g}; it is [{span[0]:g}, {span[1]:g}]")
