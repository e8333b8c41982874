"""What automations see of the iterations: noted on the device, read once a window with one wait."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from traiNNer.engine.control.events import Step, WindowFinished
from traiNNer.engine.runtime.memory import Memory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step_report import StepReport
from traiNNer.models.protocol import MAIN


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
        self._rows: list[Sequence[Tensor]] = []
        self._names: list[tuple[str, ...]] = []
        self._steps: list[Step] = []
        self._other_rows: list[Tensor] = []
        self._other_names: list[str] = []
        self._others: dict[str, list[Step]] = {}
        self._seconds: list[float] = []
        self._last = math.nan

    def add(self, report: StepReport) -> None:
        """Note an iteration without reading its values; one that trains only others than the main learner is none."""
        for name, update in report.updates.items():
            if name != MAIN:
                loss = torch.stack(list(update.terms.values())).sum()
                row = torch.stack([value.float() for value in (update.applied, update.grad_norm, loss)])
                self._other_rows.append(row)
                self._other_names.append(name)
        update = report.main
        if update is None:
            return
        loss = next((update.terms[name] for name in self.anchors if name in update.terms), None)
        if loss is None:
            loss = torch.stack(list(update.terms.values())).sum()
        reference = torch.full_like(loss, math.nan) if report.reference is None else report.reference
        norms = update.norms or {}
        # Scalars, put together only when they are read: an operator in every iteration costs more than all the rest.
        self._rows.append((update.applied, update.grad_norm, loss, reference, *norms.values()))
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
        if not steps:
            return None
        others, self._others = self._others, {}
        return WindowFinished(iteration, steps, pace, memory, others=others)

    def _read(self) -> None:
        self._read_others()
        if not self._rows:
            return
        together = torch.stack([value.float() for row in self._rows for value in row])
        values = iter(self.runtime.mean_over_ranks(together).tolist())
        for row, names in zip(self._rows, self._names, strict=True):
            applied, norm, loss, reference, *norms = islice(values, len(row))
            by_name = dict(zip(names, norms, strict=True)) if names else None
            self._steps.append(Step(applied == 1.0, norm, loss, reference, by_name))
        self._rows, self._names = [], []

    def _read_others(self) -> None:
        if not self._other_rows:
            return
        rows = self.runtime.mean_over_ranks(torch.stack(self._other_rows)).tolist()
        for name, (applied, norm, loss) in zip(self._other_names, rows, strict=True):
            self._others.setdefault(name, []).append(Step(applied == 1.0, norm, loss))
        self._other_rows, self._other_names = [], []

    def state_dict(self) -> dict[str, Any]:
        """Return the open window, read, as plain lists."""
        self._read()
        others = {name: [list(step[:3]) for step in steps] for name, steps in self._others.items()}
        return {
            "steps": [[*step[:4], dict(step.norms) if step.norms else None] for step in self._steps],
            "others": others,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._steps = [Step(bool(applied), *rest) for applied, *rest in state["steps"]]
        others = state.get("others", {})
        self._others = {name: [Step(bool(row[0]), *row[1:]) for row in rows] for name, rows in others.items()}
