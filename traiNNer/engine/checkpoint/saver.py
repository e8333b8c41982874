"""When and what a run saves, and what happens when it cannot: nothing that is not finite, nothing that is not whole."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from traiNNer.engine.checkpoint.store import CheckpointStore, Weights
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import best_name, cause
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.weight_average import EMA
from traiNNer.errors import CannotWrite, FolderGone, TrainingDiverged

FAILURES_ALLOWED = 3


class Saver:
    """Saves the checkpoints of one run and remembers the last good one in `last` (0: none yet).

    Args:
        store: the files of the run.
        runtime: ranks.
        logbook: where failures are reported.
        about: what weights files say of themselves (arch, options, scale), by learner name.
    """

    def __init__(
        self, store: CheckpointStore, runtime: Runtime, logbook: Logbook, about: Mapping[str, dict[str, Any]]
    ) -> None:
        self.store = store
        self.runtime = runtime
        self.logbook = logbook
        self.about = about
        self.last = 0
        self._failures = 0

    def save(
        self, iteration: int, total: int, weights: Mapping[str, Weights], state: dict[str, Any], must_succeed: bool
    ) -> None:
        """Write one checkpoint on rank 0; all ranks learn the outcome. A failure is reported and training continues.

        Args:
            iteration: the iteration just done.
            total: the last one, for messages.
            weights: tensors by role (`net_g`, `net_g_ema`, `net_d`).
            state: everything else that an exact resume needs.
            must_succeed: whether a failure ends the run, as the last save and that of a stopped run does.

        Raises:
            CannotWrite: it failed and must not, or for the third time in a row.
            FolderGone: the run's folder was deleted or renamed; it is written where it is now, if anywhere.
            TrainingDiverged: a weight is not finite; nothing was written.
        """
        self._refuse_nonfinite(weights, iteration, total)
        failure = self._write(iteration, weights, state) if self.runtime.is_main else None
        failure = self.runtime.from_main(failure)
        if isinstance(failure, FolderGone):
            raise failure
        if failure is None:
            self.last, self._failures = iteration, 0
            return
        self._failures += 1
        text = f"Could not save iteration {iteration:,}: {failure}."
        if must_succeed or self._failures >= FAILURES_ALLOWED:
            raise CannotWrite(f"{text} Stopped at {iteration:,}/{total:,}; {self.last_good()}.")
        self.logbook.warn(f"{text} Training continues; {self.last_good()}.")

    def resume_at(self, iteration: int) -> None:
        """Note the checkpoint that the run was restored from."""
        self.last = iteration

    def save_best(self, metric: str, value: float, iteration: int, role: str, weights: Weights) -> bool:
        """Write the weights with the best score so far under their metric's name; a failure is only reported.

        Weights that are not finite are never the best, whatever their score.

        Returns:
            Whether they were written.
        """
        bad = _nonfinite(weights)
        if bad:
            self.logbook.warn(f"The best {metric} weights are not replaced: {role}.{bad} is not finite.")
            return False
        self.refuse_lost_folder()
        about = self._about(role, iteration) | {"metric": metric, "score": value}
        try:
            self.store.save_best(best_name(metric), role, weights, about)
        except OSError as error:
            self.logbook.warn(f"Could not save the best {metric} weights: {cause(error)}. Training continues.")
            return False
        return True

    def keep_final(self, role: str, weights: Weights, metric: str | None, iteration: int) -> str:
        """Write what an early end leaves behind as `net_g_final`: the best weights by a metric, or the present ones.

        Returns:
            Which weights these are, in words.
        """
        self.refuse_lost_folder()
        about = self._about(role, iteration)
        best = self.store.best_file(best_name(metric)) if metric else None
        try:
            if best:
                self.store.copy_weights(best, "net_g_final")
                return f"{best.with_stem('net_g_final')}, the best by {metric}"
            self.store.save_best("net_g_final", role, weights, about)
            return f"net_g_final, the weights of iteration {iteration:,}"
        except OSError as error:
            self.logbook.warn(f"Could not save net_g_final: {cause(error)}.")
            return str(best) if best else "none"

    def last_good(self) -> str:
        """Return the last checkpoint in words, for messages."""
        return f"last good checkpoint: {self.last:,}" if self.last else "no checkpoint was saved yet"

    def refuse_lost_folder(self) -> None:
        """Raise `FolderGone` when the run's folder was deleted or renamed: whatever is there is another's."""
        if not self.store.is_in_place():
            raise FolderGone(f"{self._lost()} {self.last_good()}.")

    def _lost(self) -> str:
        return f"{self.store.folder.root} was deleted or renamed while the run wrote to it."

    def _write(self, iteration: int, weights: Mapping[str, Weights], state: dict[str, Any]) -> str | FolderGone | None:
        about = {role: self._about(role, iteration) for role in weights}
        is_lost = not self.store.is_in_place()
        store = self.store.moved() if is_lost else self.store
        if store is None:
            return FolderGone(f"{self._lost()} Iteration {iteration:,} cannot be saved; {self.last_good()}.")
        try:
            warnings = store.save(iteration, weights, state, about)
        except OSError as error:
            return cause(error)
        self.logbook.warn_all(warnings)
        if is_lost:
            self.last = iteration
            return FolderGone(
                f"{self._lost()} It is now {store.folder.root}, where iteration {iteration:,} was saved: rename it "
                "back and continue with --auto_resume."
            )
        return None

    def _about(self, role: str, iteration: int) -> dict[str, Any]:
        return {**self.about[role.removesuffix(EMA)], "iteration": iteration}

    def _refuse_nonfinite(self, weights: Mapping[str, Weights], iteration: int, total: int) -> None:
        for role, tensors in weights.items():
            bad = _nonfinite(tensors)
            if bad:
                raise TrainingDiverged(
                    f"stopped: {role}.{bad} is not finite at {iteration:,}/{total:,}. Nothing was saved; "
                    f"{self.last_good()}. Lower the learning rate or switch grad_clip on."
                )


def _nonfinite(weights: Weights) -> str | None:
    """Return the first tensor that has a value which is not finite, or None."""
    return next((name for name, tensor in weights.items() if not _is_finite(tensor)), None)


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
