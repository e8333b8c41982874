"""What automations see of the iterations: noted on the device, read once a window with one wait."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from traiNNer.engine.control.events import Step, WindowFinished
from traiNNer.engine.runtime.memory import Memory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step_report import StepReport


class Observations:
    """The iterations since the last window.

    Args:
        runtime: ranks.
        anchor: the loss term that is watched; None watches their sum.
        others: the terms that take its place in iterations without it.
    """

    def __init__(self, runtime: Runtime, anchor: str | None = None, others: Sequence[str] = ()) -> None:
        self.runtime = runtime
        self.anchors = (*([anchor] if anchor else []), *others)
        self._rows: list[Tensor] = []
        self._names: list[tuple[str, ...]] = []
        self._steps: list[Step] = []
        self._seconds: list[float] = []
        self._last = math.nan

    def add(self, report: StepReport) -> None:
        """Note an iteration of the main learner without reading its values; one that trains only others is not one."""
        update = report.main
        if update is None:
            return
        loss = next((update.terms[name] for name in self.anchors if name in update.terms), None)
        if loss is None:
            loss = torch.stack(list(update.terms.values())).sum()
        reference = torch.full_like(loss, math.nan) if report.reference is None else report.reference
        norms = update.norms or {}
        values = [update.applied, update.grad_norm, loss, reference, *norms.values()]
        self._rows.append(torch.stack([value.float() for value in values]))
        self._names.append(tuple(norms))
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now

    def pause(self) -> None:
        """Do not count the time from the last iteration to the next one."""
        self._last = math.nan

    def read(self, iteration: int, memory: Memory | None = None) -> WindowFinished | None:
        """Return the window that ends here and start anew; None when nothing was noted."""
        self._read()
        steps, self._steps = self._steps, []
        known = [seconds for seconds in self._seconds if math.isfinite(seconds)]
        self._seconds = []
        # The median passes over the pauses of saving.
        pace = statistics.median(known) if known else math.nan
        return WindowFinished(iteration, steps, pace, memory) if steps else None

    def _read(self) -> None:
        if not self._rows:
            return
        sizes = [row.numel() for row in self._rows]
        values = self.runtime.mean_over_ranks(torch.cat(self._rows)).tolist()
        for size, names in zip(sizes, self._names, strict=True):
            applied, norm, loss, reference, *norms = values[:size]
            values = values[size:]
            by_name = dict(zip(names, norms, strict=True)) if names else None
            self._steps.append(Step(applied == 1.0, norm, loss, reference, by_name))
        self._rows, self._names = [], []

    def state_dict(self) -> dict[str, Any]:
        """Return the open window, read, as plain lists."""
        self._read()
        return {"steps": [[*step[:4], dict(step.norms) if step.norms else None] for step in self._steps]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._steps = [Step(bool(applied), *rest) for applied, *rest in state["steps"]]
