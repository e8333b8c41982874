"""The helper that ends a run."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from traiNNer.engine.automation import Automation
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(ge=0)]


class StoppingFallback(StrictOptions):
    """What happens to early stopping when its helper gives up."""

    early_stopping: bool = False
    """Stop by plain patience; false never stops."""


FALLBACK = StoppingFallback()


@AUTOMATIONS.register(name="IntelligentEarlyStopping")
@dataclass(eq=False)
class IntelligentEarlyStopping(Automation):
    """Ends a run that has nothing left to gain.

    Args:
        preset: How sure it must be: `convenience` looks at one patience with a 90 % interval and stops at the first
            hit; `fidelity` at two, with 95 %, and wants two hits in a row.
        patience: Iterations since the last significant best before stopping is considered.
        min_improvement: Gain of the metric that makes a new best significant.
        min_epochs: Passes through the data before which nothing stops.
        min_iterations: Iterations before which nothing stops.
        monitor_metric: `val/<metric>` for the mean over all sets, `<set>/<metric>` for one.
        max_no_improvement: Iterations without any new best after which the run stops in any case.
        improvement_threshold: Gain of the metric per patience below which the trend counts as flat.
        warmup_iterations: Iterations whose values are not looked at.
        min_projected_gain: Gain still to be expected below which the run stops.
        restore_best: End with the best weights.
        respect_schedule: Wait while the schedule will still lower the learning rate.
        fallback: What is in force after the helper gave up.
        max_adjustments: Stops per run.
    """

    preset: Literal["convenience", "fidelity"] = "convenience"
    patience: Count = 2000
    min_improvement: Number = 0.001
    min_epochs: CountOrZero = 0
    min_iterations: CountOrZero = 5000
    monitor_metric: str = "val/psnr"
    max_no_improvement: Count | None = None
    improvement_threshold: Number = 0.002
    warmup_iterations: CountOrZero = 1000
    min_projected_gain: Number = 0.05
    restore_best: bool = True
    respect_schedule: bool = True
    fallback: StoppingFallback = FALLBACK
    max_adjustments: Count = 1
