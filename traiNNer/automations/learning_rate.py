"""The helper that moves the learning rate."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from traiNNer.engine.automation import Automation
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class ScheduleFallback(StrictOptions):
    """The schedule in force when the learning-rate helper gives up."""

    scheduler_type: Literal["cosine"] = "cosine"
    """Kind of the schedule."""
    scheduler_params: dict[str, Any] = Field(default_factory=dict)
    """Its parameters, such as `eta_min`; `T_max` is always `train.total_iter`."""


FALLBACK = ScheduleFallback()


@AUTOMATIONS.register(name="IntelligentLearningRateScheduler")
@dataclass(eq=False)
class IntelligentLearningRateScheduler(Automation):
    """A bounded factor on the learning rate.

    Args:
        monitor_loss: Watch the training loss.
        monitor_validation: Watch the validation metric; with `monitor_loss` it can veto a reduction. One of the two
            must be on.
        adaptation_threshold: Effect worth acting on, as a share: what the rest of the run can gain, or the rise of a
            diverging loss.
        plateau_patience: Iterations of the smallest window of evidence.
        improvement_threshold: Relative fall of the loss per patience window below which the run counts as flat.
        min_lr_factor: Smallest cumulative factor on the learning rate.
        max_lr_factor: Largest cumulative factor on the learning rate.
        reduction_factor: Factor of one reduction.
        raise_factor: Factor of one raise.
        rollback: Return to the last good weights when the loss diverges.
        log_every: Iterations between log lines of the estimate.
        fallback: What is in force after the helper gave up.
        max_adjustments: Changes before the factor is frozen.
    """

    monitor_loss: bool = True
    monitor_validation: bool = True
    adaptation_threshold: Positive = 0.02
    plateau_patience: Count = 1000
    improvement_threshold: Positive = 0.001
    min_lr_factor: Annotated[float, Field(ge=1e-4, le=1)] = 0.1
    max_lr_factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    reduction_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    raise_factor: Annotated[float, Field(gt=1)] = 1.25
    rollback: bool = True
    log_every: Count = 1000
    fallback: ScheduleFallback = FALLBACK
    max_adjustments: Count = 50
