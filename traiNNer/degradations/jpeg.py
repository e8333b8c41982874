"""JPEG as libjpeg compresses it, in tensors: a quality and a chroma subsampling for each image of a batch."""

import math
from functools import lru_cache
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Weights, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Subsampling = Literal["444", "422", "420"]
Quality = Annotated[int, Field(ge=1, le=100)]
BLOCK = 8
SAMPLINGS = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}
FACTORS = {"444": (1, 1), "422": (1, 2), "420": (2, 2)}
# The tables of Annex K of ITU-T T.81, row by row.
LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMA = np.full((8, 8), 99)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


@DEGRADATIONS.register()
class Jpeg(Degradation):
    """Compress as JPEG, as libjpeg does it, and decompress.

    Args:
        quality: least and most quality, from 1 to 100.
        subsampling: how color is stored, one drawn for each image: `444` in full, `422` at half the width, `420` at
            half the width and height, as most cameras and programs do.
        subsampling_weights: how often each is drawn; equally often when left out.
    """

    def __init__(
        self,
        quality: tuple[Quality, Quality] = (30, 95),
        subsampling: Annotated[tuple[Subsampling, ...], Field(min_length=1)] = ("420",),
        subsampling_weights: Weights = (),
    ) -> None:
        require_span(quality, "quality", 1)
        require_weights(subsampling, subsampling_weights, "subsampling_weights")
        self.quality, self.subsampling, self.weights = quality, subsampling, subsampling_weights

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images as they come out of the file: B, 3, H, W in steps of 1 / 255."""
        quality, chosen = self._drawn(draws)
        result = images
        for place, name in enumerate(self.subsampling):
            here = np.flatnonzero(chosen == place)
            if len(here) == len(images):
                return compressed(images, quality, name)
            if len(here):
                index = torch.from_numpy(here).to(images.device)
                result = result.index_copy(0, index, compressed(images[index], quality[here], name))
        return result

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return a single image as libjpeg writes and reads it, but for colors other than three."""
        if images.shape[1] != 3:
            return self(images, draws)
        quality, chosen = self._drawn(draws)
        return by_libjpeg(images, int(quality[0]), self.subsampling[chosen[0]])

    def _drawn(self, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        """Return quality and the place of the subsampling of each image."""
        return draws.integer("quality", *self.quality), draws.choice("subsampling", self.subsampling, self.weights)


def by_libjpeg(image: Tensor, quality: int, subsampling: str) -> Tensor:
    """Return a 1, 3, H, W image in [0, 1] after JPEG compression by the library itself."""
    planes = [cv2.convertScaleAbs(plane, alpha=255) for plane in image[0].contiguous().numpy()]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[subsampling]]
    read = cv2.imdecode(cv2.imencode(".jpg", cv2.merge(planes[::-1]), options)[1], cv2.IMREAD_COLOR)
    assert read is not None  # it was written by the same library
    made = torch.empty(image.shape)
    for plane, out in zip(cv2.split(read)[::-1], made[0].numpy(), strict=True):
        np.divide(plane, np.float32(255), out=out)
    return made


def compressed(images: Tensor, quality: np.ndarray, subsampling: str) -> Tensor:
    """Return B, 3, H, W images in [0, 1] after JPEG compression at a quality for each."""
    height, width = images.shape[-2:]
    down, across = FACTORS[subsampling]
    planes = _to_ycc(torch.round(images * 255))
    # Beyond the border libjpeg repeats the last row and column until blocks are full.
    planes = F.pad(planes, (0, -width % (BLOCK * across), 0, -height % (BLOCK * down)), mode="replicate")
    luma = _coded(planes[:, :1], table(LUMA, quality, images))
    chroma = _averaged(planes[:, 1:], down, across)
    chroma = _spread(_coded(chroma, table(CHROMA, quality, images)), down, across)
    return _to_rgb(torch.cat((luma, chroma), dim=1))[..., :height, :width] / 255


def table(base: np.ndarray, quality: np.ndarray, like: Tensor) -> Tensor:
    """Return the quantization tables, B, 1, 1, 1, 8, 8 float32: libjpeg's rule for a quality from 1 to 100."""
    factor = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)[:, None, None]
    steps = ((base * factor + 50) // 100).clip(1, 255).astype(np.float32)
    return torch.from_numpy(steps).to(like.device)[:, None, None, None]


def _to_ycc(rgb: Tensor) -> Tensor:
    r, g, b = rgb.unbind(dim=1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.round(torch.stack((y, (b - y) / 1.772 + 128, (r - y) / 1.402 + 128), dim=1)).clamp(0, 255)


def _to_rgb(ycc: Tensor) -> Tensor:
    y, cb, cr = ycc.unbind(dim=1)
    cb, cr = cb - 128, cr - 128
    green = y - 0.344136 * cb - 0.714136 * cr
    return torch.round(torch.stack((y + 1.402 * cr, green, y + 1.772 * cb), dim=1)).clamp(0, 255)


def _averaged(planes: Tensor, down: int, across: int) -> Tensor:
    if down * across == 1:
        return planes
    # libjpeg rounds up and down in turn, from column to column: a bias of 0 or 1 (1 or 2 of four pixels).
    total = F.avg_pool2d(planes, (down, across)) * (down * across)
    turn = torch.arange(total.shape[-1], device=planes.device) % 2
    return torch.floor((total + (turn if down == 1 else turn + 1)) / (down * across))


def _spread(planes: Tensor, down: int, across: int) -> Tensor:
    """Return chroma at full size: three quarters of the nearer, one of the farther pixel, as libjpeg does it."""
    for dim, factor in ((2, down), (3, across)):
        if factor == 2:
            planes = _doubled(planes, dim)
    return torch.round(planes)


def _doubled(planes: Tensor, dim: int) -> Tensor:
    size = planes.shape[dim]
    places = torch.arange(size, device=planes.device)
    before = planes.index_select(dim, (places - 1).clamp(min=0))
    after = planes.index_select(dim, (places + 1).clamp(max=size - 1))
    pair = torch.stack(((3 * planes + before) / 4, (3 * planes + after) / 4), dim=dim + 1)
    return pair.flatten(dim, dim + 1)


def _coded(planes: Tensor, steps: Tensor) -> Tensor:
    """Return planes in [0, 255] after the cosine transform of 8 x 8 blocks, rounded to `steps`, and back."""
    batch, channels, height, width = planes.shape
    blocks = planes.view(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4) - 128
    cosines = torch.from_numpy(_cosines()).to(planes.device)
    coefficients = cosines @ blocks @ cosines.T
    blocks = cosines.T @ (torch.round(coefficients / steps) * steps) @ cosines
    return torch.round(blocks + 128).clamp(0, 255).transpose(3, 4).reshape(batch, channels, height, width)


@lru_cache(maxsize=1)
def _cosines() -> np.ndarray:
    """Return the orthonormal cosine transform of 8 numbers."""
    place = np.arange(BLOCK)
    waves = np.cos((2 * place + 1) * place[:, None] * math.pi / (2 * BLOCK)) / 2
    waves[0] /= math.sqrt(2)
    return waves.astype(np.float32)
