"""Blur with kernels that differ from image to image."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from traiNNer.degradations import kernels as shapes
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.opencv_filters import filtered
from traiNNer.degradations.protocol import Degradation, Span, Weights, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Kind = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc"]
Sizes = tuple[Annotated[int, Field(ge=1, le=63)], Annotated[int, Field(ge=1, le=63)]]
LineBlur = Callable[[Tensor, np.ndarray], Tensor]
"""`blurred`, or what does the same in another way."""
SMALL = 13  # a sinc kernel below this size would not hold the ring of a low limit


@DEGRADATIONS.register()
class Blur(Degradation):
    """Blur by a lens, by motion or by a filter: a kernel is drawn for each image.

    Args:
        kernels: kinds of kernels; one is drawn for each image. `sinc` rings, as sharpened and compressed images do.
        kernel_weights: how often each kind is drawn; equally often when left out.
        size: least and most pixels of a kernel; only odd sizes are drawn.
        sigma: least and most width in pixels; of both axes where a kernel is not round.
        beta_generalized: least and most exponent of the generalized kernels: below 1 a sharper tip than a Gaussian.
            Half of the images get one below 1 where the span allows both.
        beta_plateau: least and most exponent of the plateau kernels: the higher, the steeper the edge.
        cutoff: least and most limit of `sinc`, in radians per pixel; by default pi / 3 for kernels below 13 pixels,
            pi / 5 for others, to pi.
    """

    def __init__(
        self,
        kernels: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("iso", "aniso"),
        kernel_weights: Weights = (),
        size: Sizes = (7, 21),
        sigma: Span = (0.2, 3.0),
        beta_generalized: Span = (0.5, 4.0),
        beta_plateau: Span = (1.0, 2.0),
        cutoff: Span | None = None,
    ) -> None:
        require_weights(kernels, kernel_weights, "kernel_weights")
        for option, span, least in (("sigma", sigma, 0.05), ("beta_generalized", beta_generalized, 0.05)):
            require_span(span, option, least)
        require_span(beta_plateau, "beta_plateau", 0.05)
        require_span(size, "size", 1)
        require_span(cutoff or (1, 1), "cutoff", 0.05)
        self.kernels, self.weights = kernels, kernel_weights
        self.size = (size[0] // 2, max(size[0] // 2, (size[1] - 1) // 2))
        self.sigma, self.cutoff = sigma, cutoff
        self.beta_generalized, self.beta_plateau = beta_generalized, beta_plateau

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the blurred images, B, C, H, W; their borders repeat outward."""
        return convolved(images, self.drawn(draws))

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the same of a single image by OpenCV."""
        return filtered(images, self.drawn(draws)[0])

    def drawn(self, draws: Draws) -> np.ndarray:
        """Return the kernels of a batch, B, K, K float64, K being the largest drawn."""
        kinds = draws.choice("kernel", self.kernels, self.weights)
        sizes = 2 * draws.integer("radius", *self.size) + 1
        first, second = draws.uniform("sigma", *self.sigma), draws.uniform("sigma_across", *self.sigma)
        angle = draws.uniform("angle", -np.pi, np.pi)
        generalized = _exponent(draws, "beta_generalized", self.beta_generalized)
        plateau = _exponent(draws, "beta_plateau", self.beta_plateau)
        share = draws.uniform("cutoff", 0, 1)
        low = np.where(sizes < SMALL, np.pi / 3, np.pi / 5)
        span = (low, np.pi) if self.cutoff is None else self.cutoff
        limit = span[0] + (span[1] - span[0]) * share
        most = int(sizes.max())
        made = np.empty((len(draws), most, most))
        for place, kind in enumerate(self.kernels):
            here = np.flatnonzero(kinds == place)
            if not len(here):
                continue
            if kind == "sinc":
                made[here] = shapes.sinc(most, limit[here])
                continue
            across = first if kind.endswith("iso") and not kind.endswith("aniso") else second
            distance = shapes.distances(most, first[here], across[here], angle[here])
            if kind.startswith("generalized"):
                made[here] = shapes.generalized(distance, generalized[here])
            elif kind.startswith("plateau"):
                made[here] = shapes.plateau(distance, plateau[here])
            else:
                made[here] = shapes.gaussian(distance)
        return shapes.cut(made, sizes)


def _exponent(draws: Draws, name: str, span: Span) -> np.ndarray:
    """Return exponents of which half are below 1 and half above, where the span has both."""
    if not span[0] < 1 < span[1]:
        return draws.uniform(name, *span)
    is_low = draws.chance(f"{name}_below_1", 0.5)
    return np.where(is_low, draws.uniform(f"{name}_low", span[0], 1), draws.uniform(f"{name}_high", 1, span[1]))


def blurred(images: Tensor, lines: np.ndarray) -> Tensor:
    """Return B, C, H, W images, each blurred along both axes with its line of weights, B, K."""
    batch, channels, height, width = images.shape
    radius = lines.shape[-1] // 2
    weights = torch.from_numpy(lines.astype(np.float32)).to(images.device)[:, None].expand(-1, channels, -1)
    weights = weights.reshape(batch * channels, 1, 1, -1)
    flat = images.reshape(1, batch * channels, height, width)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="replicate"), weights, groups=batch * channels)
    flat = F.pad(flat, (0, 0, radius, radius), mode="replicate")
    return F.conv2d(flat, weights.transpose(-1, -2), groups=batch * channels).view(images.shape)


def gaussian_lines(sigma: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the weights of one axis of Gaussians, B, K float64 with sums of 1, 0 beyond `radius` pixels."""
    axis = np.arange(2 * int(radius.max()) + 1) - int(radius.max())
    lines = np.where(np.abs(axis) <= radius[:, None], np.exp(-0.5 * (axis / sigma[:, None]) ** 2), 0.0)
    return lines / lines.sum(axis=1, keepdims=True)


def convolved(images: Tensor, kernels: np.ndarray) -> Tensor:
    """Return B, C, H, W images, each correlated with its kernel of B, K, K; their borders repeat outward."""
    batch, channels, height, width = images.shape
    radius = kernels.shape[-1] // 2
    weights = torch.from_numpy(kernels.astype(np.float32)).to(images.device)
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    weights = weights[:, None].expand(-1, channels, -1, -1).reshape(batch * channels, 1, *kernels.shape[1:])
    return F.conv2d(padded.reshape(1, batch * channels, *padded.shape[2:]), weights, groups=batch * channels).view(
        batch, channels, height, width
    )
