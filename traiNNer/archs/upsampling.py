"""Upsamplers of the community's networks (umzi, 2024), which write into the weights file which one they are.

Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from traiNNer.archs.spanplus import DySample

Way = Literal["conv", "pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample"]
WAYS: tuple[Way, ...] = get_args(Way)
"""By the number that the file has for each."""
GROUPS = 4


class Upsampler(nn.Sequential):
    """Makes an image of features.

    Args:
        way: `pixelshuffledirect` shuffles pixels at once, `pixelshuffle` in steps of two, `nearest+conv` repeats them,
            `dysample` learns where to sample; `conv` restores at scale 1, as every other does there.
        scale: 1 to 4, 8.
        inner: Channels of the features, a multiple of 4 with `dysample`.
        outer: Channels of the image.
        middle: Channels between steps of `pixelshuffle`, and before `dysample`.
        version: 3, or 1, whose `dysample` uses the features as they are.
    """

    MetaUpsample: Tensor

    def __init__(self, way: Way, scale: int, inner: int, outer: int, middle: int, version: int = 3) -> None:
        if way == "conv" and scale != 1:
            raise ValueError(f"upsampler conv is for scale 1, not {scale}")
        super().__init__(*(_layers(way, scale, inner, outer, middle, version) if scale > 1 else [_conv(inner, outer)]))
        record = [version, WAYS.index(way), scale, inner, outer, middle, GROUPS]
        self.register_buffer("MetaUpsample", torch.tensor(record, dtype=torch.uint8))


def read_record(record: Tensor) -> tuple[Way, int, int]:
    """Return way, scale and channels in the middle of what `MetaUpsample` holds. Raises `LookupError` for others."""
    _, way, scale, _, _, middle, _ = record.tolist()
    return WAYS[way], scale, middle


def _conv(inner: int, outer: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, padding=1)


def _layers(way: Way, scale: int, inner: int, outer: int, middle: int, version: int) -> list[nn.Module]:
    steps = [2] * (scale.bit_length() - 1) if scale & (scale - 1) == 0 else [scale]
    if way == "pixelshuffledirect":
        return [_conv(inner, outer * scale**2), nn.PixelShuffle(scale)]
    if way == "pixelshuffle":
        shuffles = [layer for step in steps for layer in (_conv(middle, step**2 * middle), nn.PixelShuffle(step))]
        return [_conv(inner, middle), nn.LeakyReLU(), *shuffles, _conv(middle, outer)]
    if way == "nearest+conv":
        repeats = [
            layer
            for step in steps
            for layer in (_conv(inner, inner), nn.Upsample(scale_factor=step), nn.LeakyReLU(0.2))
        ]
        return [*repeats, _conv(inner, inner), nn.LeakyReLU(0.2), _conv(inner, outer)]
    narrowed = [_conv(inner, middle), nn.LeakyReLU()] if version > 1 and middle != inner else []
    return [*narrowed, DySample(middle if narrowed else inner, outer, scale, GROUPS)]
