"""Large images in parts: each part is computed with context around it, and neighbors are blended."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import torch
from torch import Tensor

BLEND = 8
GRID = 8
LEAST_CONTEXT = 16


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in LQ pixels: it reads [start, stop) and is used, faded in and out, in [low, high).

    `fade_in` and `fade_out` are the lengths of the blends with its neighbors; 0 at the border of the image.
    """

    start: int
    stop: int
    low: int
    high: int
    fade_in: int
    fade_out: int

    def weights(self, scale: int) -> Tensor:
        """Return the weight of every output pixel of [low, high); those of all tiles add up to exactly one."""
        weights = torch.ones((self.high - self.low) * scale)
        rising, falling = _ramp(self.fade_in * scale), 1 - _ramp(self.fade_out * scale)
        weights[: len(rising)] = rising
        weights[len(weights) - len(falling) :] = falling
        return weights


Place = tuple[Span, Span]
"""A tile: its rows and its columns."""


def _ramp(length: int) -> Tensor:
    return (torch.arange(length, dtype=torch.float32) + 0.5) / max(1, length)


def spans(size: int, tile_size: int, overlap: int, grid: int = GRID, least: int = 1) -> list[Span]:
    """Divide `size` pixels into the fewest equal tiles of at most about `tile_size`, each with its context.

    Every reading starts at a multiple of `grid`, so that networks that work on blocks or windows of pixels see the same
    blocks as in the whole image, and is at least `least` pixels long where the image is.
    """
    count = -(-size // tile_size)
    inner = {round(size * k / count / grid) * grid for k in range(1, count)}
    borders = [0, *sorted(border for border in inner if 0 < border < size), size]
    half = min(BLEND, *(b - a for a, b in pairwise(borders))) // 2
    # Zero padding darkens the outer pixels of a tile; without some context even blending would show a dark line.
    margin = -(-max(overlap + half, LEAST_CONTEXT) // grid) * grid
    result = []
    for a, b in pairwise(borders):
        before, after = (half if a else 0), (half if b < size else 0)
        start = max(0, min(a - margin, (size - least) // grid * grid))
        stop = min(size, max(b + margin, start + least))
        result.append(Span(start, stop, a - before, b + after, 2 * before, 2 * after))
    return result


def run_tiled(
    fn: Callable[[Tensor], Tensor],
    lq: Tensor,
    scale: int,
    tile_size: int,
    overlap: int,
    grid: int = GRID,
    least: int = 1,
    at_once: int = 1,
) -> Tensor:
    """Return `fn(lq)` computed in tiles: B, [T,] C, H, W to B, [T,] C', scale*H, scale*W.

    Equal to the whole up to rounding when `overlap` covers the receptive field's radius. With less, neighboring tiles
    differ near their common border and are blended linearly over a few pixels; pixels at the image's own border come
    from one tile alone. A tile reads at least 16 pixels around it, at most about tile_size + 2 * (overlap + 16) in all
    (more where `grid` or `least` ask for it). Images whose sides are multiples of a divisor of `grid` give tiles whose
    sides are, too.

    Args:
        fn: Upscales B, [T,] C, h, w by `scale`, for any h and w that `grid` and `least` leave.
        lq: The images.
        scale: Upscaling factor of `fn`.
        tile_size: Side of a tile without its context, in LQ pixels; at least 1.
        overlap: Context read on each side of a tile, in LQ pixels.
        grid: Tiles begin at multiples of this, in LQ pixels.
        least: Smallest side of what `fn` is given, in LQ pixels, where the image is as large.
        at_once: How many tiles of one size `fn` gets together, along B.

    Raises:
        ValueError: `fn` returned another size, or `tile_size` or `overlap` is out of range.
    """
    if tile_size < 1 or overlap < 0:
        raise ValueError(f"tile_size must be at least 1 and overlap at least 0, not {tile_size} and {overlap}")
    height, width = lq.shape[-2:]
    rows, columns = (spans(side, tile_size, overlap, grid, least) for side in (height, width))
    if len(rows) == len(columns) == 1:
        return fn(lq)
    canvas = lq.new_zeros(())
    for group in _groups(list(product(rows, columns)), at_once):
        for (row, column), output in zip(group, _run_some(fn, lq, scale, group), strict=True):
            if canvas.ndim == 0:
                canvas = output.new_zeros(*output.shape[:-2], height * scale, width * scale)
            top, left = row.low * scale, column.low * scale
            canvas[..., top : top + output.shape[-2], left : left + output.shape[-1]] += output
    return canvas


def _groups(tiles: list[Place], at_once: int) -> Iterator[list[Place]]:
    """Return the tiles in groups of one size; in their order where each is a group of its own."""
    waiting: dict[tuple[int, int], list[Place]] = {}
    for row, column in tiles:
        size = row.stop - row.start, column.stop - column.start
        waiting.setdefault(size, []).append((row, column))
        if len(waiting[size]) == at_once:
            yield waiting.pop(size)
    yield from waiting.values()


def _run_some(fn: Callable[[Tensor], Tensor], lq: Tensor, scale: int, group: list[Place]) -> list[Tensor]:
    """Return the weighted outputs of tiles of one size, each in its [low, high) of both axes."""
    # A copy: code that reshapes its input works on whole images, and should not fail on a part of one.
    views = [lq[..., row.start : row.stop, column.start : column.stop] for row, column in group]
    parts = views[0].clone() if len(views) == 1 else torch.cat(views)
    output = fn(parts)
    expected = (parts.shape[-2] * scale, parts.shape[-1] * scale)
    if tuple(output.shape[-2:]) != expected:
        raise ValueError(f"a tile of {tuple(parts.shape[-2:])} gave {tuple(output.shape[-2:])} instead of {expected}")
    return [_weighted(part, scale, *place) for place, part in zip(group, output.split(len(lq)), strict=True)]


def _weighted(output: Tensor, scale: int, row: Span, column: Span) -> Tensor:
    used = output[
        ...,
        (row.low - row.start) * scale : (row.high - row.start) * scale,
        (column.low - column.start) * scale : (column.high - column.start) * scale,
    ]
    weights = row.weights(scale)[:, None] * column.weights(scale)
    return used * weights.to(used)
