"""What the log shows, summed on the device and read once a window; and the watch over non-finite losses."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from traiNNer.engine.step import StepReport
from traiNNer.errors import TrainingDiverged


class Window:
    """Means of the loss terms and the gradient norm over the iterations since the last log line."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, report: StepReport) -> None:
        """Add one step; a skipped one counts nothing."""
        values = {f"loss/{name}": value for name, value in report.terms.items()} | {"grad_norm": report.grad_norm}
        values["updates"] = torch.ones_like(report.grad_norm)
        for name, value in values.items():
            kept = torch.where(report.applied, value.float(), 0.0)
            self._sums[name] = self._sums[name] + kept if name in self._sums else kept
        self.count += 1

    def read(self) -> dict[str, float]:
        """Return the means and start anew; one wait for the device. Keys: `loss/<term>`, `loss/total`, `grad_norm`."""
        names = list(self._sums)
        sums = dict(zip(names, torch.stack(list(self._sums.values())).tolist(), strict=True)) if names else {}
        updates = sums.pop("updates", 0.0)
        means = {name: value / updates for name, value in sums.items()} if updates else {}
        losses = [value for name, value in means.items() if name.startswith("loss/")]
        if len(losses) > 1:
            means["loss/total"] = sum(losses)
        self.count, self._sums = 0, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return the open window, so that a resumed run logs the same means."""
        return {"count": self.count, "sums": {name: value.cpu() for name, value in self._sums.items()}}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore what `state_dict` returned."""
        self.count = state["count"]
        self._sums = {name: value.to(device) for name, value in state["sums"].items()}


@dataclass(frozen=True)
class _Pending:
    iteration: int
    report: StepReport
    keys: tuple[str, ...]


class NonfiniteWatch:
    """Counts updates skipped in a row, names the guilty loss term and files, and ends a run that does not recover.

    On the CPU every step is looked at; elsewhere `limit` steps at a time, so that training never waits for the answer.
    """

    def __init__(self, limit: int, look_every: int, overflow_allowance: int = 0) -> None:
        self.limit = limit
        self.streak = 0
        self._look_every = look_every
        # fp16 gradients may overflow until the scaler has found its scale; that is not divergence.
        self._allowed = limit + overflow_allowance
        self._pending: list[_Pending] = []

    def add(self, iteration: int, report: StepReport, keys: tuple[str, ...]) -> list[str]:
        """Note a step; return warnings. Raises `TrainingDiverged` after too many skipped updates in a row."""
        self._pending.append(_Pending(iteration, report, keys))
        return self.look() if len(self._pending) >= self._look_every else []

    def reset(self) -> None:
        """Begin counting anew, after a return to good weights."""
        self.streak = 0
        self._pending = []

    def look(self) -> list[str]:
        """Look at the noted steps now; one wait for the device."""
        if not self._pending:
            return []
        pending, self._pending = self._pending, []
        flags = torch.stack([entry.report.finite for entry in pending]).tolist()
        warnings: list[str] = []
        for entry, finite in zip(pending, flags, strict=True):
            self.streak = 0 if finite else self.streak + 1
            if finite:
                continue
            warnings.append(self._describe(entry))
            if self.streak >= self._allowed:
                raise TrainingDiverged("\n".join([*warnings[-3:], f"{self.streak} updates in a row were skipped"]))
        return warnings

    def _describe(self, entry: _Pending) -> str:
        bad = [name for name, value in entry.report.terms.items() if not bool(torch.isfinite(value))]
        where = f"loss is not finite ({bad[0]})" if bad else "gradient is not finite (every loss term is)"
        files = ", ".join(entry.keys[:8]) + (", …" if len(entry.keys) > 8 else "")
        return (
            f"Iteration {entry.iteration:,}: {where}. Step skipped ({self.streak} of {self._allowed}). Images: {files}"
        )
