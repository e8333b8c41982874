"""Few colors: palettes with and without dithering, and bands in smooth areas."""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from traiNNer.degradations import opencv_filters
from traiNNer.degradations.blur import LineBlur, blurred, gaussian_lines
from traiNNer.degradations.diffusion import diffused
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Images, Span, Weights, column, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Dither = Literal["none", "ordered", "noise", "diffusion"]
Levels = tuple[Annotated[int, Field(ge=2, le=256)], Annotated[int, Field(ge=2, le=256)]]
SIDE = 8


@DEGRADATIONS.register()
class Quantize(Degradation):
    """Reduce each color to a few levels, as GIF files and old screens do.

    Args:
        levels: least and most levels of each color.
        dithers: how the steps are hidden, one drawn for each image: not at all, by an ordered pattern of 8 x 8 pixels
            (Bayer 1973), by noise, or by `diffusion` of the error to the pixels to come (Floyd and Steinberg 1976).
        dither_weights: how often each is drawn; equally often when left out.
    """

    def __init__(
        self,
        levels: Levels = (6, 32),
        dithers: Annotated[tuple[Dither, ...], Field(min_length=1)] = ("none", "ordered", "noise", "diffusion"),
        dither_weights: Weights = (),
    ) -> None:
        require_span(levels, "levels", 2)
        require_weights(dithers, dither_weights, "dither_weights")
        self.levels, self.dithers, self.weights = levels, dithers, dither_weights

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images in few colors, B, C, H, W."""
        return self.on(Images.of(images), draws).pixels

    def on(self, images: Images, draws: Draws) -> Images:
        """Return the same for images of several sizes."""
        return images.with_pixels(self._made(images.pixels, draws, images.sizes))

    def _made(self, images: Tensor, draws: Draws, sizes: np.ndarray) -> Tensor:
        steps = column(draws.integer("levels", *self.levels) - 1, images)
        chosen = draws.choice("dither", self.dithers, self.weights)
        offset = torch.full_like(images, 0.5)
        for place, dither in enumerate(self.dithers):
            here = torch.from_numpy(np.flatnonzero(chosen == place)).to(images.device)
            if not len(here) or dither in ("none", "diffusion"):
                continue
            pattern = _bayer(images) if dither == "ordered" else draws.field("noise", images)[here]
            offset = offset.index_copy(0, here, pattern.expand(len(here), *images.shape[1:]))
        made = torch.floor(images * steps + offset).clamp(min=0).minimum(steps) / steps
        spread = np.flatnonzero([self.dithers[place] == "diffusion" for place in chosen])
        if not len(spread):
            return made
        here = torch.from_numpy(spread).to(images.device)
        return made.index_copy(0, here, diffused(images[here], steps[here], sizes[spread]))


def bayer() -> np.ndarray:
    """Return the 8 x 8 thresholds in (0, 1) of ordered dithering."""
    pattern = np.zeros((1, 1))
    while len(pattern) < SIDE:
        pattern = np.block([[4 * pattern, 4 * pattern + 2], [4 * pattern + 3, 4 * pattern + 1]])
    return (pattern + 0.5) / SIDE**2


def _bayer(like: Tensor) -> Tensor:
    rows, columns = (np.arange(side) % SIDE for side in like.shape[-2:])
    return torch.from_numpy(bayer()[rows][:, columns].astype(np.float32)).to(like.device)[None, None]


@DEGRADATIONS.register()
class Banding(Degradation):
    """Turn smooth gradients into bands, as few bits or hard compression leave them; detail stays.

    Args:
        levels: least and most levels of each color.
        sigma: least and most width in pixels of what counts as smooth.
    """

    def __init__(self, levels: Levels = (12, 48), sigma: Span = (2.0, 5.0)) -> None:
        require_span(levels, "levels", 2)
        require_span(sigma, "sigma", 0.3)
        self.levels, self.sigma = levels, sigma

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the banded images, B, C, H, W."""
        return self._banded(images, draws, blurred)

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the same of a single image by OpenCV."""
        return self._banded(images, draws, opencv_filters.blurred)

    def _banded(self, images: Tensor, draws: Draws, blur: LineBlur) -> Tensor:
        steps = column(draws.integer("levels", *self.levels) - 1, images)
        sigma = draws.uniform("sigma", *self.sigma)
        smooth = blur(images, gaussian_lines(sigma, np.ceil(3 * sigma).astype(np.int64)))
        return images + torch.round(smooth * steps) / steps - smooth
