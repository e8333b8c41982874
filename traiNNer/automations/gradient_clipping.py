"""The helper that moves the gradient limit."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from traiNNer.engine.automation import Automation
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class ClippingFallback(StrictOptions):
    """The gradient limit in force when the clipping helper gives up."""

    threshold: Positive = 1.0
    """Largest gradient norm."""


FALLBACK = ClippingFallback()


@AUTOMATIONS.register(name="AdaptiveGradientClipping")
@dataclass(eq=False)
class AdaptiveGradientClipping(Automation):
    """A gradient limit that follows the statistics.

    Args:
        initial_threshold: Limit before there are statistics.
        min_threshold: Smallest limit.
        max_threshold: Largest limit.
        threshold_mode: Whether the bounds are gradient norms or multiples of the median norm.
        adjustment_factor: The limit moves only if the wanted one is this many times away.
        monitoring_frequency: Iterations between evaluations; the norm itself is checked every time.
        gradient_history_size: Norms remembered.
        fallback: What is in force after the helper gave up.
        max_adjustments: Changes before the limit is frozen.
    """

    initial_threshold: Positive = 1.0
    min_threshold: Positive = 0.1
    max_threshold: Positive = 10.0
    threshold_mode: Literal["absolute", "relative"] = "absolute"
    adjustment_factor: Annotated[float, Field(gt=1)] = 1.2
    monitoring_frequency: Count = 10
    gradient_history_size: Count = 100
    fallback: ClippingFallback = FALLBACK
    max_adjustments: Count = 100
