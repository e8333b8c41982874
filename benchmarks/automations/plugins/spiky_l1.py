"""L1 whose gradient occasionally explodes, as with a broken image or a half-precision overflow."""

import math
import random
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from traiNNer.registry import LOSSES

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=1)]


class _Scaled(torch.autograd.Function):
    """The identity, with a gradient that is `factor` times as large."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


@LOSSES.register(pixel=True, separable=True)
class SpikyL1Loss(nn.Module):
    """Mean absolute difference; a share of the calls has a gradient that is many times too large, or NaN.

    Which calls, and by how much, depends only on `seed` and the number of the call, so that runs with one seed
    see the same spikes whatever else they do; calls that nothing learns from (of bicubic upscaling, beside the
    automations) do not count. The value of the loss is always that of L1.

    Args:
        seed: Filled in by the framework: the run's `manual_seed`.
        rate: Share of the calls with a spike.
        nan_share: Share of the spikes that are NaN.
        smallest: Smallest factor of the others, which are drawn evenly on a logarithmic scale.
        largest: Largest factor.
    """

    def __init__(
        self,
        seed: int = 0,
        rate: Share = 0.01,
        nan_share: Share = 0.15,
        smallest: Factor = 30.0,
        largest: Factor = 1e4,
    ) -> None:
        super().__init__()
        self.seed, self.rate, self.nan_share = seed, rate, nan_share
        self.logarithms = math.log(smallest), math.log(largest)
        self.calls = 0

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of two B, 3, H, W images in [0, 1]."""
        loss = F.l1_loss(output.float(), target.float())
        if not output.requires_grad:
            return loss
        self.calls += 1
        return _Scaled.apply(loss, self.factor(self.calls))  # pyright: ignore[reportReturnType] - untyped in torch

    def factor(self, call: int) -> float:
        """Return the factor of the gradient at a call, counted from 1: 1 for most."""
        draw = random.Random(f"{self.seed} {call}")
        if draw.random() >= self.rate:
            return 1.0
        if draw.random() < self.nan_share:
            return math.nan
        return math.exp(draw.uniform(*self.logarithms))
