"""Options of the training automations: their schema, so that a file that names them is checked completely.

The helpers themselves are not part of this version; when they come, their signatures replace these models.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from traiNNer.config.choice import AutomationChoice
from traiNNer.registry import StrictOptions

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(ge=0)]


class HelperOptions(StrictOptions):
    """Keys of every helper."""

    enabled: bool = True
    """Switch of this helper; the section's `enabled` must be on too."""


class ScheduleFallback(StrictOptions):
    """The schedule in force when the learning-rate helper gives up."""

    scheduler_type: Literal["cosine"] = "cosine"
    scheduler_params: dict[str, Any] = Field(default_factory=dict)


class LearningRateOptions(HelperOptions):
    """IntelligentLearningRateScheduler: a bounded factor on the learning rate."""

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
    fallback: ScheduleFallback = Field(default_factory=ScheduleFallback)
    max_adjustments: Count = 50


class BatchFallback(StrictOptions):
    """The micro-batch in force when the batch-size helper gives up."""

    batch_size: Count = 8


class BatchSizeOptions(HelperOptions):
    """DynamicBatchSizeOptimizer: micro-batches that fit the device memory."""

    target_vram_usage: Share = 0.85
    safety_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    adjustment_frequency: Count = 100
    min_batch_size: Count = 1
    max_batch_size: Count = 32
    vram_history_size: Count = 50
    effective_batch: Literal["preserve", "grow"] = "preserve"
    lr_scaling: Literal["auto", "none"] = "auto"
    fallback: BatchFallback = Field(default_factory=BatchFallback)
    max_adjustments: Count = 20


class ClippingFallback(StrictOptions):
    """The gradient limit in force when the clipping helper gives up."""

    threshold: Positive = 1.0


class ClippingOptions(HelperOptions):
    """AdaptiveGradientClipping: a gradient limit that follows the statistics."""

    initial_threshold: Positive = 1.0
    min_threshold: Positive = 0.1
    max_threshold: Positive = 10.0
    threshold_mode: Literal["absolute", "relative"] = "absolute"
    adjustment_factor: Annotated[float, Field(gt=1)] = 1.2
    monitoring_frequency: Count = 10
    gradient_history_size: Count = 100
    fallback: ClippingFallback = Field(default_factory=ClippingFallback)
    max_adjustments: Count = 100


class StoppingFallback(StrictOptions):
    """What happens to early stopping when its helper gives up."""

    early_stopping: bool = False


class EarlyStoppingOptions(HelperOptions):
    """IntelligentEarlyStopping: ends a run that has nothing left to gain."""

    patience: Count = 2000
    min_improvement: Number = 0.001
    min_epochs: Annotated[int, Field(ge=0)] = 0
    min_iterations: Annotated[int, Field(ge=0)] = 5000
    monitor_metric: str = "val/psnr"
    max_no_improvement: Count | None = None
    improvement_threshold: Number = 0.002
    warmup_iterations: Annotated[int, Field(ge=0)] = 1000
    min_projected_gain: Number = 0.05
    restore_best: bool = True
    respect_schedule: bool = True
    fallback: StoppingFallback = Field(default_factory=StoppingFallback)
    max_adjustments: Count = 1


class AutomationOptions(StrictOptions):
    """`train.training_automations`: one section per helper, by class name or snake_case."""

    enabled: bool = False
    """Master switch."""
    strict: bool = False
    """Let an exception in a helper end the run (for tests)."""
    shadow: bool = False
    """Log decisions without applying them."""
    intelligent_learning_rate_scheduler: LearningRateOptions | None = None
    dynamic_batch_size_optimizer: BatchSizeOptions | None = None
    adaptive_gradient_clipping: ClippingOptions | None = None
    intelligent_early_stopping: EarlyStoppingOptions | None = None
    own: dict[str, AutomationChoice] = Field(default_factory=dict)
    """Helpers of plugins; in a file each is a section of its own beside the others."""


class LossSchedulingOptions(StrictOptions):
    """`train.dynamic_loss_scheduling`: loss weights as ratios of gradient norms."""

    enabled: bool = False
    auto_calibrate: bool = True
