"""What the log shows, summed on the device and read once a window; and the watch over non-finite losses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from traiNNer.engine.step_report import StepReport
from traiNNer.errors import TrainingDiverged
from traiNNer.models.protocol import MAIN


class Window:
    """Means of the loss terms and the gradient norms over the iterations since the last log line.

    Args:
        device: of the sums.
        mean_over_ranks: averages a vector over the ranks, whose batches are parts of one. All of them have to read the
            window, and to save it.
    """

    def __init__(self, device: torch.device, mean_over_ranks: Callable[[Tensor], Tensor] = lambda own: own) -> None:
        self.count = 0
        self._device = device
        self._mean_over_ranks = mean_over_ranks
        self._sums: dict[str, Tensor] = {}
        # Of each loss term by itself: it may be active in a part of the window only.
        self._counts: dict[str, Tensor] = {}

    def add(self, report: StepReport) -> None:
        """Add one step; a skipped update counts nothing."""
        for learner, update in report.updates.items():
            prefix = "" if learner == MAIN else f"{learner}/"
            values = {f"loss/{prefix}{name}": value for name, value in update.terms.items()}
            values[f"{prefix}grad_norm"] = update.grad_norm
            values |= update.measures
            for name, value in values.items():
                kept = torch.where(update.applied, value.float(), 0.0)
                counted = torch.where(update.applied, torch.ones_like(kept), 0.0)
                self._sums[name] = self._sums[name] + kept if name in self._sums else kept
                self._counts[name] = self._counts[name] + counted if name in self._counts else counted
        self.count += 1

    def read(self) -> dict[str, float]:
        """Return the means and start anew; one wait for the device.

        Keys: `loss/<term>` (the mean over the iterations in which it is active), `loss/total` (the mean of the sum of
        the main learner's terms, where there are several) and `grad_norm`; of another learner `loss/net_d/<term>` and
        `net_d/grad_norm`; and what a model measures, by its names.
        """
        names, values = list(self._sums), self._agreed().tolist()
        sums, counts = (dict(zip(names, part, strict=True)) for part in (values[: len(names)], values[len(names) :]))
        means = {name: value / counts[name] for name, value in sums.items() if counts[name]}
        losses = [sums[name] for name in means if name.startswith("loss/") and not _prefix(name)]
        if len(losses) > 1:
            means["loss/total"] = sum(losses) / counts["grad_norm"]
        self.count, self._sums, self._counts = 0, {}, {}
        return means

    def _agreed(self) -> Tensor:
        """Return the sums and then the counts as one vector, averaged over the ranks."""
        noted = [*self._sums.values(), *self._counts.values()]
        return self._mean_over_ranks(torch.stack(noted)) if noted else torch.zeros(0)

    def state_dict(self) -> dict[str, Any]:
        """Return the open window, so that a resumed run logs the same means."""
        # This run continues with the means over the ranks too: else it would round otherwise than one resumed from it.
        agreed = iter(self._agreed().unbind())
        self._sums = {name: next(agreed) for name in self._sums}
        self._counts = {name: next(agreed) for name in self._counts}
        sums, counts = ({name: x.cpu() for name, x in table.items()} for table in (self._sums, self._counts))
        return {"count": self.count, "sums": sums, "counts": counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.count = state["count"]
        self._sums = {name: value.to(self._device) for name, value in state["sums"].items()}
        self._counts = {name: value.to(self._device) for name, value in state["counts"].items()}


def _prefix(name: str) -> str:
    """Return the learner's prefix in a log key: `net_d/` of `loss/net_d/gan`, nothing of `loss/l1` and `grad_norm`."""
    learner, slash, _ = name.removeprefix("loss/").rpartition("/")
    return learner + slash


@dataclass(frozen=True)
class _Pending:
    iteration: int
    report: StepReport
    keys: tuple[str, ...]


class NonfiniteWatch:
    """Counts updates skipped in a row, names the guilty loss term and files, and ends a run that does not recover.

    On the CPU every step is inspected at once; elsewhere `limit` steps at a time, so that training never waits.
    """

    def __init__(self, limit: int, inspect_every: int, overflow_allowance: int = 0) -> None:
        self.limit = limit
        self.streak = 0
        self._inspect_every = inspect_every
        # fp16 gradients may overflow until the scaler has found its scale; that is not divergence.
        self._allowed = limit + overflow_allowance
        self._pending: list[_Pending] = []

    def add(self, iteration: int, report: StepReport, keys: tuple[str, ...]) -> list[str]:
        """Note a step; return warnings. Raises `TrainingDiverged` after too many skipped updates in a row."""
        self._pending.append(_Pending(iteration, report, keys))
        return self.flush() if len(self._pending) >= self._inspect_every else []

    def reset(self) -> None:
        """Begin counting anew, after a return to good weights."""
        self.streak = 0
        self._pending = []

    def flush(self) -> list[str]:
        """Inspect the noted steps now; one wait for the device."""
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

    def state_dict(self) -> dict[str, Any]:
        """Return the updates skipped in a row; the steps not yet inspected are inspected before a save."""
        return {"streak": self.streak}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.reset()
        self.streak = state["streak"]

    def _describe(self, entry: _Pending) -> str:
        bad = [name for name, value in _all_terms(entry.report).items() if not bool(torch.isfinite(value))]
        where = f"loss is not finite ({bad[0]})" if bad else "gradient is not finite (every loss term is)"
        files = ", ".join(entry.keys[:8]) + (", …" if len(entry.keys) > 8 else "")
        return (
            f"Iteration {entry.iteration:,}: {where}. Step skipped ({self.streak} of {self._allowed}). Images: {files}"
        )


def _all_terms(report: StepReport) -> dict[str, Tensor]:
    """Return the loss terms of every learner, those of others than `net_g` as `net_d/<term>`."""
    return {
        name if learner == MAIN else f"{learner}/{name}": value
        for learner, update in report.updates.items()
        for name, value in update.terms.items()
    }
