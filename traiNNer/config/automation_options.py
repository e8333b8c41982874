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
    """Kind of the schedule."""
    scheduler_params: dict[str, Any] = Field(default_factory=dict)
    """Its parameters, such as `eta_min`; `T_max` is always `train.total_iter`."""


class LearningRateOptions(HelperOptions):
    """IntelligentLearningRateScheduler: a bounded factor on the learning rate."""

    monitor_loss: bool = True
    """Watch the training loss."""
    monitor_validation: bool = True
    """Watch the validation metric; with `monitor_loss` it can veto a reduction. One of the two must be on."""
    adaptation_threshold: Positive = 0.02
    """Effect worth acting on, as a share: what the rest of the run can gain, or the rise of a diverging loss."""
    plateau_patience: Count = 1000
    """Iterations of the smallest window of evidence."""
    improvement_threshold: Positive = 0.001
    """Relative fall of the loss per patience window below which the run counts as flat."""
    min_lr_factor: Annotated[float, Field(ge=1e-4, le=1)] = 0.1
    """Smallest cumulative factor on the learning rate."""
    max_lr_factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    """Largest cumulative factor on the learning rate."""
    reduction_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor of one reduction."""
    raise_factor: Annotated[float, Field(gt=1)] = 1.25
    """Factor of one raise."""
    rollback: bool = True
    """Return to the last good weights when the loss diverges."""
    log_every: Count = 1000
    """Iterations between log lines of the estimate."""
    fallback: ScheduleFallback = Field(default_factory=ScheduleFallback)
    """What is in force after the helper gave up."""
    max_adjustments: Count = 50
    """Changes before the factor is frozen."""


class BatchFallback(StrictOptions):
    """The micro-batch in force when the batch-size helper gives up."""

    batch_size: Count = 8
    """Images per micro-batch."""


class BatchSizeOptions(HelperOptions):
    """DynamicBatchSizeOptimizer: micro-batches that fit the device memory."""

    target_vram_usage: Share = 0.85
    """Ceiling of the memory in use, as a share of the device."""
    safety_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Distance below the ceiling at which growing stops, as a share of the device."""
    adjustment_frequency: Count = 100
    """Iterations between evaluations."""
    min_batch_size: Count = 1
    """Smallest micro-batch."""
    max_batch_size: Count = 32
    """Largest micro-batch."""
    vram_history_size: Count = 50
    """Peaks remembered for each size."""
    effective_batch: Literal["preserve", "grow"] = "preserve"
    """`preserve` only changes how a batch is split into micro-batches; `grow` may enlarge it."""
    lr_scaling: Literal["auto", "none"] = "auto"
    """Adapt the learning rate when the effective batch grows."""
    fallback: BatchFallback = Field(default_factory=BatchFallback)
    """What is in force after the helper gave up."""
    max_adjustments: Count = 20
    """Changes of its own will before the size is frozen."""


class ClippingFallback(StrictOptions):
    """The gradient limit in force when the clipping helper gives up."""

    threshold: Positive = 1.0
    """Largest gradient norm."""


class ClippingOptions(HelperOptions):
    """AdaptiveGradientClipping: a gradient limit that follows the statistics."""

    initial_threshold: Positive = 1.0
    """Limit before there are statistics."""
    min_threshold: Positive = 0.1
    """Smallest limit."""
    max_threshold: Positive = 10.0
    """Largest limit."""
    threshold_mode: Literal["absolute", "relative"] = "absolute"
    """Whether the bounds are gradient norms or multiples of the median norm."""
    adjustment_factor: Annotated[float, Field(gt=1)] = 1.2
    """The limit moves only if the wanted one is this many times away."""
    monitoring_frequency: Count = 10
    """Iterations between evaluations; the norm itself is checked every time."""
    gradient_history_size: Count = 100
    """Norms remembered."""
    fallback: ClippingFallback = Field(default_factory=ClippingFallback)
    """What is in force after the helper gave up."""
    max_adjustments: Count = 100
    """Changes before the limit is frozen."""


class StoppingFallback(StrictOptions):
    """What happens to early stopping when its helper gives up."""

    early_stopping: bool = False
    """Stop by plain patience; false never stops."""


class EarlyStoppingOptions(HelperOptions):
    """IntelligentEarlyStopping: ends a run that has nothing left to gain."""

    patience: Count = 2000
    """Iterations since the last significant best before stopping is considered."""
    min_improvement: Number = 0.001
    """Gain of the metric that makes a new best significant."""
    min_epochs: Annotated[int, Field(ge=0)] = 0
    """Passes through the data before which nothing stops."""
    min_iterations: Annotated[int, Field(ge=0)] = 5000
    """Iterations before which nothing stops."""
    monitor_metric: str = "val/psnr"
    """`val/<metric>` for the mean over all sets, `<set>/<metric>` for one."""
    max_no_improvement: Count | None = None
    """Iterations without any new best after which the run stops in any case."""
    improvement_threshold: Number = 0.002
    """Gain of the metric per patience below which the trend counts as flat."""
    warmup_iterations: Annotated[int, Field(ge=0)] = 1000
    """Iterations whose values are not looked at."""
    min_projected_gain: Number = 0.05
    """Gain still to be expected below which the run stops."""
    restore_best: bool = True
    """End with the best weights."""
    respect_schedule: bool = True
    """Wait while the schedule will still lower the learning rate."""
    fallback: StoppingFallback = Field(default_factory=StoppingFallback)
    """What is in force after the helper gave up."""
    max_adjustments: Count = 1
    """Stops per run."""


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
    """Switch of this section."""
    auto_calibrate: bool = True
    """Read `loss_weight` as a ratio of gradient norms, measured once after warm-up."""
