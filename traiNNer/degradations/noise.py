"""Noise of sensors and films."""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Share, Span, Weights, column, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Kind = Literal["gaussian", "poisson", "speckle"]
LEVELS = 255
FEW = 12.0  # events, below which the distribution is summed up, as its steps are coarse
MOST_OF_FEW = 40  # events; more have a probability below 1e-9 where 12 are expected


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
        kinds = draws.choice("kind", self.kinds, self.weights)
        gray = draws.chance("gray", self.gray_prob)
        sigma = draws.uniform("sigma", *self.sigma)
        scale = draws.uniform("poisson_scale", *self.poisson_scale)
        speckle = draws.uniform("speckle", *self.speckle)
        normal = draws.normal("normal", images)
        normal = torch.where(column(gray, images) > 0, normal[:, :1], normal)
        result = images
        for place, kind in enumerate(self.kinds):
            here = np.flatnonzero(kinds == place)
            if not len(here):
                continue
            index = torch.from_numpy(here).to(images.device)
            clean, n = images[index], normal[index]
            if kind == "gaussian":
                added = n * column(sigma[here] / LEVELS, images)
            elif kind == "speckle":
                added = clean * n * column(speckle[here] / 100, images)
            else:
                uniform = draws.part(here).field("uniform", clean)
                is_gray = column(gray[here], images) > 0
                uniform = torch.where(is_gray, uniform[:, :1], uniform)
                light = torch.where(is_gray, _luma(clean), clean)
                added = (poisson(light * LEVELS, n, uniform) / LEVELS - light) * column(scale[here], images)
            result = clean + added if len(here) == len(images) else result.index_copy(0, index, clean + added)
        return result


def _luma(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images[:, :1]
    weights = images.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def poisson(expected: Tensor, normal: Tensor, uniform: Tensor) -> Tensor:
    """Return counts of events, each from its expected number: float32 in the shape of all three.

    Few events are counted off by the distribution, with the uniform number; many come from the normal number, corrected
    for skewness (Cornish and Fisher 1938).
    """
    many = torch.floor(expected + expected.sqrt() * normal + (normal**2 - 1) / 6 + 0.5).clamp(min=0)
    if expected.device.type == "cpu":
        dark = expected < FEW
        many[dark] = _counted(expected[dark], uniform[dark])
        return many
    return torch.where(expected < FEW, _counted(expected.clamp(max=FEW), uniform), many)


def _counted(expected: Tensor, uniform: Tensor) -> Tensor:
    share = torch.exp(-expected)
    total, count = share.clone(), torch.zeros_like(expected)
    for events in range(1, MOST_OF_FEW + 1):
        count += uniform >= total
        share = share * expected / events
        total = total + share
    return count
