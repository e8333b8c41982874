"""The helper that fits micro-batches to the device memory."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from traiNNer.engine.automation import Automation
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]


class BatchFallback(StrictOptions):
    """The micro-batch in force when the batch-size helper gives up."""

    batch_size: Count = 8
    """Images per micro-batch."""


FALLBACK = BatchFallback()


@AUTOMATIONS.register(name="DynamicBatchSizeOptimizer")
@dataclass(eq=False)
class DynamicBatchSizeOptimizer(Automation):
    """Micro-batches that fit the device memory.

    Args:
        target_vram_usage: Ceiling of the memory in use, as a share of the device.
        safety_margin: Distance below the ceiling at which growing stops, as a share of the device.
        adjustment_frequency: Iterations between evaluations.
        min_batch_size: Smallest micro-batch.
        max_batch_size: Largest micro-batch.
        vram_history_size: Peaks remembered for each size.
        effective_batch: `preserve` only changes how a batch is split into micro-batches; `grow` may enlarge it.
        lr_scaling: Adapt the learning rate when the effective batch grows.
        fallback: What is in force after the helper gave up.
        max_adjustments: Changes of its own will before the size is frozen.
    """

    target_vram_usage: Annotated[float, Field(gt=0, le=1)] = 0.85
    safety_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    adjustment_frequency: Count = 100
    min_batch_size: Count = 1
    max_batch_size: Count = 32
    vram_history_size: Count = 50
    effective_batch: Literal["preserve", "grow"] = "preserve"
    lr_scaling: Literal["auto", "none"] = "auto"
    fallback: BatchFallback = FALLBACK
    max_adjustments: Count = 20
