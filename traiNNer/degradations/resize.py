"""Resizing of a batch with one factor per image: products with resampling matrices."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Images, Resizing, Share, Span, Weights, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Filter = Literal["bicubic", "bilinear", "area", "lanczos", "nearest"]
Filters = Annotated[tuple[Filter, ...], Field(min_length=1)]
WAYS = ("up", "down", "keep")
REACH = {"bicubic": 2.0, "bilinear": 1.0, "area": 0.5, "lanczos": 3.0, "nearest": 0.0}
OF_TORCH = {"bicubic": "bicubic", "bilinear": "bilinear", "nearest": "nearest-exact"}
BAND = 64
KEYS = {True: -0.5, False: -0.75}
"""Of Keys' cubic: Pillow and torch take -0.5 with antialiasing; torch and OpenCV -0.75 without."""
EDGE = 4
"""More pixels than any filter without antialiasing reaches."""
LEAST = 4  # pixels of a side: smaller images hold nothing that a later step could spoil


@DEGRADATIONS.register(resizes=True)
class Resize(Resizing):
    """Shrink or enlarge by a random factor, as images were before they came to us.

    The last resize of a recipe, to the size of LQ, is `shrink`; where a recipe has none, it ends with one.

    Args:
        factor: least and most factor; below 1 when shrinking, above 1 when enlarging.
        probs: how often an image grows, shrinks, or stays as it is.
        filters: the filters; one is drawn for each image. `area` is the mean over what a pixel covers.
        filter_weights: how often each filter is drawn; equally often when left out.
        antialias: widen the filters when shrinking; without it fine patterns turn into coarse ones.
        of: what the factor is relative to: the size at this step (`now`), or that of LQ.
        back: return to the size before, with another filter: `factor` is then how much detail is lost.
    """

    def __init__(
        self,
        factor: Span = (0.5, 1.5),
        probs: tuple[Share, Share, Share] = (0.4, 0.4, 0.2),
        filters: Filters = ("bicubic", "bilinear", "area"),
        filter_weights: Weights = (),
        antialias: bool = True,
        of: Literal["now", "lq"] = "now",
        back: bool = False,
    ) -> None:
        require_weights(filters, filter_weights, "filter_weights")
        require_weights(WAYS, probs, "probs")
        require_span(factor, "factor", 0.02)
        if (probs[0] and factor[1] < 1) or (probs[1] and factor[0] > 1):
            raise ValueError("factor must begin at or below 1 to shrink, and end at or above 1 to enlarge; see probs")
        self.factor, self.probs = factor, probs
        self.filters, self.weights = filters, filter_weights
        self.antialias, self.of, self.back = antialias, of, back

    def __call__(self, images: Images, draws: Draws, target: np.ndarray) -> Images:
        """Return the images in sizes of their own, or in those before."""
        way = draws.choice("way", WAYS, self.probs)
        low, high = self.factor
        down, up = draws.uniform("down", low, min(1.0, high)), draws.uniform("up", max(1.0, low), high)
        factor = np.choose(way, [up, down, np.ones_like(up)])
        whole = images.sizes if self.of == "now" else target
        sizes = np.maximum(np.rint(whole * factor[:, None]).astype(np.int64), np.minimum(images.sizes, LEAST))
        filters = draws.choice("filter", self.filters, self.weights)
        resized = resample(images, sizes, [self.filters[place] for place in filters], self.antialias)
        if not self.back:
            return resized
        filters = draws.choice("filter_back", self.filters, self.weights)
        return resample(resized, images.sizes, [self.filters[place] for place in filters], self.antialias)


@DEGRADATIONS.register(resizes=True)
class Shrink(Resizing):
    """Resize to the size of LQ. What follows in the recipe spoils the pixels of LQ.

    Args:
        filters: the filters; one is drawn for each image.
        filter_weights: how often each filter is drawn; equally often when left out.
        antialias: widen the filters when shrinking; without it fine patterns turn into coarse ones.
    """

    def __init__(self, filters: Filters = ("bicubic",), filter_weights: Weights = (), antialias: bool = True) -> None:
        require_weights(filters, filter_weights, "filter_weights")
        self.filters, self.weights, self.antialias = filters, filter_weights, antialias

    def __call__(self, images: Images, draws: Draws, target: np.ndarray) -> Images:
        """Return the images in the size of LQ."""
        filters = draws.choice("filter", self.filters, self.weights)
        return resample(images, target, [self.filters[place] for place in filters], self.antialias)


def resample(images: Images, sizes: np.ndarray, filters: list[str], antialias: bool) -> Images:
    """Return the images in other sizes (B, 2), each with its filter; images that keep their size keep their pixels."""
    if bool((images.sizes == sizes).all()):
        return images
    is_one_size = images.are_full and bool((sizes == sizes[0]).all())
    if is_one_size and len(set(filters)) == 1 and filters[0] in OF_TORCH:
        height, width = (int(side) for side in sizes[0])
        # The same numbers in less time than by full matrices.
        widen = antialias and filters[0] != "nearest"
        made = F.interpolate(images.pixels, size=(height, width), mode=OF_TORCH[filters[0]], antialias=widen)
        return Images(made.clamp_(0, 1), sizes)
    if len(sizes) == 1 and images.are_full:
        return by_bands(images, sizes, filters[0], antialias)
    return by_matrices(images, sizes, filters, antialias)


def by_bands(images: Images, sizes: np.ndarray, name: str, antialias: bool) -> Images:
    """Return a single image in another size, by products with the parts of both matrices that are not 0."""
    pixels = images.pixels
    channels, before, across = pixels.shape[1:]
    height, width = (int(side) for side in sizes[0])
    rows = weights_of(before, height, name, antialias).astype(np.float32)
    is_square = (before, height) == (across, width)
    columns = rows if is_square else weights_of(across, width, name, antialias).astype(np.float32)
    made = pixels.new_empty((channels, height, across))
    for start, first, last, weights in _bands(rows):
        made[:, start : start + BAND] = weights.to(pixels.device) @ pixels[0, :, first:last]
    lines = made.view(-1, across)
    result = pixels.new_empty((len(lines), width))
    for start, first, last, weights in _bands(columns):
        result[:, start : start + BAND] = lines[:, first:last] @ weights.to(pixels.device).T
    return Images(result.view(1, channels, height, width).clamp_(0, 1), sizes)


def _bands(weights: np.ndarray) -> Iterator[tuple[int, int, int, Tensor]]:
    """Yield where each `BAND` of rows of a matrix starts, from and to which column it is not 0, and what is there."""
    used = weights != 0
    firsts, lasts = used.argmax(axis=1), weights.shape[1] - used[:, ::-1].argmax(axis=1)
    for start in range(0, len(weights), BAND):
        first, last = int(firsts[start : start + BAND].min()), int(lasts[start : start + BAND].max())
        yield start, first, last, torch.from_numpy(weights[start : start + BAND, first:last])


def by_matrices(images: Images, sizes: np.ndarray, filters: list[str], antialias: bool) -> Images:
    """Return the same by a product with two matrices for each image, whatever their sizes and filters."""
    pixels, after = images.pixels, sizes.max(axis=0)
    rows, columns = (
        matrices(olds, news, filters, antialias, int(width), int(height), pixels)
        for olds, news, width, height in zip(images.sizes.T, sizes.T, pixels.shape[-2:], after, strict=True)
    )
    made = rows[:, None] @ pixels @ columns[:, None].transpose(-1, -2)
    return Images(made.clamp_(0, 1), sizes)


def matrices(
    old: np.ndarray, new: np.ndarray, filters: list[str], antialias: bool, width: int, height: int, like: Tensor
) -> Tensor:
    """Return the weights that make `new` pixels of a line from `old` for each image: B, height, width float32.

    Columns from `old` on are 0; rows from `new` on repeat the last. `weights_of` defines them for one image.
    """
    olds, news = (torch.from_numpy(sides).to(like.device).double()[:, None, None] for sides in (old, new))
    places = torch.arange(-EDGE, width + EDGE, device=like.device, dtype=torch.float64)
    rows = torch.minimum(torch.arange(height, device=like.device, dtype=torch.float64)[:, None], news - 1)
    step = olds / news
    made = torch.zeros((len(old), height, len(places)), device=like.device, dtype=torch.float64)
    same = torch.from_numpy(old == new).to(like.device)[:, None, None]
    for name in sorted(set(filters)):
        has_it = torch.from_numpy(np.array(filters) == name).to(like.device)[:, None, None]
        made = torch.where(has_it, _dense(name, rows, places, step, antialias), made)
    made = torch.where(same, (places == rows).double(), made)
    inside = made[..., EDGE : EDGE + width] * (places[EDGE : EDGE + width] < olds)
    if not antialias:  # what lies beyond the border counts as its last pixel
        inside[..., 0] += made[..., :EDGE].sum(dim=-1)
        last = torch.from_numpy(old - 1).to(like.device)[:, None, None].expand(-1, height, 1)
        inside.scatter_add_(2, last, (made * (places >= olds)).sum(dim=-1, keepdim=True))
    return (inside / inside.sum(dim=-1, keepdim=True)).float()


def _dense(name: str, rows: Tensor, places: Tensor, step: Tensor, antialias: bool) -> Tensor:
    """Return the weight of every place for every row, without regard to borders, of any sum."""
    if name == "area":
        start = rows * step
        return (torch.minimum(start + step, places + 1) - torch.maximum(start, places)).clamp(min=0)
    if name == "nearest":
        return (places == torch.floor((rows + 0.5) * step)).double()
    stretch = step.clamp(min=1) if antialias else torch.ones_like(step)
    x = ((places - (rows + 0.5) * step + 0.5) / stretch).abs()
    if name == "bilinear":
        return (1 - x).clamp(min=0)
    if name == "lanczos":
        return torch.where(x < REACH[name], torch.sinc(x) * torch.sinc(x / REACH[name]), 0.0)
    a = KEYS[antialias]
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def weights_of(old: int, new: int, name: str, antialias: bool) -> np.ndarray:
    """Return the new, old weights of one axis, float64, with sums of 1; pixels beyond the border are the last ones.

    Pixel centers: the new pixel i lies at (i + 0.5) * old / new - 0.5 of the old ones.
    """
    if old == new:
        return np.eye(old)
    step = old / new
    if name == "area":
        return _overlaps(old, new)
    centers = (np.arange(new) + 0.5) * step - 0.5
    made = np.zeros((new, old))
    if name == "nearest":
        made[np.arange(new), np.floor((np.arange(new) + 0.5) * step).astype(np.int64)] = 1
        return made
    stretch = max(step, 1.0) if antialias else 1.0
    reach = REACH[name] * stretch
    first = np.floor(centers - reach).astype(np.int64)
    places = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
    taps = _filter(name, (places - centers[:, None]) / stretch, antialias)
    if antialias:
        taps = np.where((places >= 0) & (places < old), taps, 0)
    taps = taps / taps.sum(axis=1, keepdims=True)
    rows, inside = np.arange(new), places.clip(0, old - 1)
    for tap in range(taps.shape[1]):  # beyond the border, several fall on the last pixel
        made[rows, inside[:, tap]] += taps[:, tap]
    return made


def _filter(name: str, x: np.ndarray, antialias: bool) -> np.ndarray:
    x = np.abs(x)
    if name == "bilinear":
        return np.maximum(0.0, 1 - x)
    if name == "lanczos":
        return np.where(x < REACH[name], np.sinc(x) * np.sinc(x / REACH[name]), 0.0)
    a = KEYS[antialias]
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _overlaps(old: int, new: int) -> np.ndarray:
    """Return the share of every old pixel in each new one."""
    step = old / new
    start = np.arange(new)[:, None] * step
    pixel = np.arange(old)
    return np.clip(np.minimum(start + step, pixel + 1) - np.maximum(start, pixel), 0, None) / step
