"""Noise of sensors and films."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from traiNNer.degradations.draws import Draws, normal_of, uniform_of
from traiNNer.degradations.protocol import Degradation, Share, Span, Weights, column, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Kind = Literal["gaussian", "poisson", "speckle"]
Count = Callable[[Tensor, Tensor], Tensor]
LEVELS = 255
STRENGTHS: dict[Kind, str] = {"gaussian": "sigma", "poisson": "poisson_scale", "speckle": "speckle"}
"""The option that says how strong a kind is."""
UNITS: dict[Kind, float] = {"gaussian": 1 / LEVELS, "poisson": 1.0, "speckle": 1 / 100}
FEW = 6.0  # events, below which the distribution is summed up, as its steps are coarse
MOST_OF_FEW = 20  # events; of 65536 levels, none stands for more where 6 are expected


@DEGRADATIONS.register()
class Noise(Degradation):
    """Add noise: of electronics (gaussian), of light itself (poisson), or in proportion to brightness (speckle).

    Args:
        kinds: kinds of noise; one is drawn for each image.
        kind_weights: how often each kind is drawn; equally often when left out.
        sigma: least and most standard deviation of gaussian noise, in steps of 255.
        poisson_scale: least and most factor on poisson noise: 1 is that of 255 events in a white pixel.
        speckle: least and most standard deviation of speckle, in percent of the pixel.
        gray_prob: how often the noise is the same in red, green and blue.
    """

    def __init__(
        self,
        kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("gaussian", "poisson"),
        kind_weights: Weights = (),
        sigma: Span = (1.0, 30.0),
        poisson_scale: Span = (0.05, 3.0),
        speckle: Span = (1.0, 20.0),
        gray_prob: Share = 0.4,
    ) -> None:
        require_weights(kinds, kind_weights, "kind_weights")
        require_span(sigma, "sigma")
        require_span(poisson_scale, "poisson_scale")
        require_span(speckle, "speckle")
        self.kinds, self.weights, self.gray_prob = kinds, kind_weights, gray_prob
        self.sigma, self.poisson_scale, self.speckle = sigma, poisson_scale, speckle

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the noisy images, B, C, H, W, not clamped."""
        return self._noisy(images, draws, counted)

    def quick(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the same of a single image, counting events only where there are few."""
        return self._noisy(images, draws, counted_where_dark)

    def _noisy(self, images: Tensor, draws: Draws, count: Count) -> Tensor:
        kinds = draws.choice("kind", self.kinds, self.weights)
        gray = draws.chance("gray", self.gray_prob)
        spans = {"gaussian": self.sigma, "poisson": self.poisson_scale, "speckle": self.speckle}
        strengths = {kind: draws.uniform(name, *spans[kind]) for kind, name in STRENGTHS.items()}
        levels = draws.levels("field", images, 1 if gray.all() else None)
        if gray.any() and not gray.all():
            levels = torch.where(column(gray, images) > 0, levels[:, :1], levels)
        result = images
        for place, kind in enumerate(self.kinds):
            here = np.flatnonzero(kinds == place)
            if not len(here):
                continue
            strength = column(strengths[kind][here] * UNITS[kind], images)
            if len(here) == len(images):
                return torch.addcmul(images, strength, _noise(kind, images, levels, gray, count))
            index = torch.from_numpy(here).to(images.device)
            clean = images[index]
            noise = _noise(kind, clean, levels[index], gray[here], count)
            result = result.index_copy(0, index, clean + strength * noise)
        return result


def _noise(kind: Kind, clean: Tensor, levels: Tensor, gray: np.ndarray, count: Count) -> Tensor:
    """Return noise of strength 1 for images, from a random level of each pixel and color."""
    if kind == "gaussian":
        return normal_of(levels)
    if kind == "speckle":
        return clean * normal_of(levels)
    light = _light(clean, gray)
    return count(light * LEVELS, levels[:, : light.shape[1]].expand_as(light)).div_(LEVELS).sub_(light)


def _light(clean: Tensor, gray: np.ndarray) -> Tensor:
    """Return what events are counted of: every color, or the brightness where noise is gray."""
    if gray.all():
        return _luma(clean)
    return torch.where(column(gray, clean) > 0, _luma(clean), clean) if gray.any() else clean


def _luma(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images[:, :1]
    weights = images.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def counted(expected: Tensor, levels: Tensor) -> Tensor:
    """Return counts of events that follow Poisson's law, each from its expected number: float32 in the same shape.

    Few events are counted off by the distribution; the number of many is a normal number, corrected for skewness
    (Cornish and Fisher 1938). Both come from the same random level below 65536.
    """
    return torch.where(expected < FEW, _few(expected.clamp(max=FEW), uniform_of(levels)), _many(expected, levels))


def counted_where_dark(expected: Tensor, levels: Tensor) -> Tensor:
    """Return the same in less time where few pixels are dark."""
    events = _many(expected, levels)
    dark = (expected < FEW).flatten().nonzero().flatten()
    if len(dark):
        few = _few_at_once(expected.flatten()[dark], uniform_of(levels.flatten()[dark]))
        return events.flatten().index_copy_(0, dark, few).view(events.shape)
    return events


def _many(expected: Tensor, levels: Tensor) -> Tensor:
    normal = normal_of(levels)
    # expected + normal * (sqrt(expected) + normal / 6) - 1 / 6, to the nearest whole number
    events = expected.sqrt().add_(normal, alpha=1 / 6).mul_(normal).add_(expected)
    return events.add_(0.5 - 1 / 6).floor_().clamp_(min=0)


def _few(expected: Tensor, uniform: Tensor) -> Tensor:
    share = torch.exp(-expected)
    total, count = share.clone(), torch.zeros_like(expected)
    for events in range(1, MOST_OF_FEW + 1):
        count += uniform >= total
        share = share.mul_(expected).div_(events)
        total += share
    return count


def _few_at_once(expected: Tensor, uniform: Tensor) -> Tensor:
    """Return the same of few pixels, N, with a row of the distribution for each: fewer calls."""
    events = torch.arange(1, MOST_OF_FEW, dtype=torch.float32, device=expected.device)
    factors = expected[:, None] / events
    shares = torch.cat((torch.exp(-expected)[:, None], factors), dim=1).cumprod(dim=1)
    return (uniform[:, None] >= shares.cumsum(dim=1)).sum(dim=1, dtype=torch.float32)
