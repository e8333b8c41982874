"""The end of a run that the learning-rate automation gives a file without a schedule, for runs without automations."""

from dataclasses import dataclass

from traiNNer.optim.schedules import finish
from traiNNer.registry import SCHEDULES


@SCHEDULES.register()
@dataclass(frozen=True)
class FinishLR:
    """Constant, then along a line to zero over the last 30 % of the run."""

    total_iter: int

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        return finish(iteration, self.total_iter)
