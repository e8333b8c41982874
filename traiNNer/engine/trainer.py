"""The training loop, and what is due between two iterations: log, validation, checkpoint."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim import Optimizer

from traiNNer.batch import Batch, BatchPlan
from traiNNer.config.options import TrainOptions
from traiNNer.engine.automation_host import AutomationHost
from traiNNer.engine.checkpoint import Restored
from traiNNer.engine.clock import Clock
from traiNNer.engine.events import KeepSnapshot, MeasureTerms, Rewind
from traiNNer.engine.interrupt import StopSignals
from traiNNer.engine.knobs import Knobs
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.progress import describe
from traiNNer.engine.runtime import Runtime
from traiNNer.engine.saving import Saver
from traiNNer.engine.scoring import Scorer
from traiNNer.engine.snapshot import Snapshot, undone
from traiNNer.engine.step import Stepper, StepReport
from traiNNer.engine.validation import EvaluationStopped
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.engine.window import NonfiniteWatch, Window
from traiNNer.errors import CannotWrite, DataError, Interrupted, MetricError, OutOfMemory, RunError, TrainingDiverged

FIRST_LINES = (1, 2, 5, 10)
FP16_SCALE_HALVINGS = 16


@dataclass
class Parts:
    """Everything a run is made of, ready-built."""

    options: TrainOptions
    runtime: Runtime
    network: nn.Module
    optimizer: Optimizer
    stepper: Stepper
    average: WeightAverage | None
    learning_rate: Callable[[int], float]
    scorer: Scorer
    saver: Saver
    logbook: Logbook
    signals: StopSignals
    identity: dict[str, Any]
    data: dict[str, Any]
    knobs: Knobs = field(default_factory=Knobs)
    automations: AutomationHost | None = None
    plan: BatchPlan | None = None


class Trainer:
    """Runs iterations until the last one, a stop signal, or an error."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.options = parts.options
        self.total = parts.options.train.total_iter
        self.iteration = 0
        self.validated = 0
        self.window = Window()
        free = parts.runtime.reads_are_free
        limit = parts.options.train.max_nonfinite
        self.watch = NonfiniteWatch(limit, 1 if free else limit, FP16_SCALE_HALVINGS if parts.runtime.scaler else 0)
        self.clock = Clock()
        self.snapshot = Snapshot(parts.network, parts.optimizer, parts.average, parts.runtime)
        if parts.automations:
            parts.automations.actions = {
                KeepSnapshot: lambda _: self.snapshot.take(),
                Rewind: lambda _: self._rewind(),
                MeasureTerms: lambda wanted: parts.stepper.measure(wanted.iterations > 0),
            }
        for group in parts.optimizer.param_groups:
            group["initial_lr"] = group["lr"]

    def run(self, stream: Iterable[Sequence[Batch]], damaged: Callable[[Sequence[Batch]], list[str]]) -> None:
        """Train from the current iteration to the last. Raises what `errors.py` lists."""
        self.parts.logbook.start_progress(self.total, self.iteration)
        if self.parts.automations:
            self.parts.automations.start(self.iteration)
        self._finish_interrupted_duties()
        batches = iter(stream)
        while not self.is_over:
            with self._saved_if_data_fails(), self.clock.waiting():
                micro_batches = next(batches)
            if self.iteration == 0:
                self._rehearse(micro_batches)
            with self.clock.working():
                self.advance(micro_batches)
            with self._saved_if_data_fails():
                self.parts.logbook.warn_all(damaged(micro_batches))
            self._duties()
        self._finish()

    @property
    def is_over(self) -> bool:
        """Whether the last iteration is done, or a helper decided that this one was the last."""
        return self.iteration >= self.total or bool(self.parts.automations and self.parts.automations.stop)

    @contextmanager
    def _saved_if_data_fails(self) -> Iterator[None]:
        """Save what was trained so far when the data end a run: between two iterations nothing is half done."""
        try:
            yield
        except DataError:
            # One rank of several cannot save alone.
            if self.parts.runtime.world == 1 and self.iteration > self.parts.saver.last:
                self._save_before_leaving()
            raise

    def advance(self, batches: Sequence[Batch]) -> StepReport:
        """Do one iteration: rate, step, average of the weights, helpers. Raises `TrainingDiverged`."""
        self._set_rate(self.iteration)
        self.iteration += 1
        report = self.parts.stepper.step(batches)
        if self.parts.average:
            free = self.parts.runtime.reads_are_free
            self.parts.average.update(self.iteration, bool(report.applied) if free else report.applied)
        if self.parts.automations:
            self.parts.automations.after_step(self.iteration, report)
        self._note(report, batches)
        return report

    def _set_rate(self, iteration: int) -> None:
        for group in self.parts.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.parts.learning_rate(iteration) * self.parts.knobs.rate(iteration)

    def _rehearse(self, batches: Sequence[Batch]) -> None:
        """Do the first step once for nothing where memory is managed: afterwards every allocation has been seen."""
        if self.parts.runtime.has_memory and self.parts.stepper.on_out_of_memory:
            self._set_rate(0)
            with undone(self.parts.network, self.parts.optimizer, self.parts.runtime):
                self.parts.stepper.step(batches)

    def _rewind(self) -> bool:
        """Return to the snapshot; False when there is none."""
        self.watch.reset()
        return self.snapshot.restore()

    def _note(self, report: StepReport, batches: Sequence[Batch]) -> None:
        self.window.add(report)
        keys = tuple(key for batch in batches for key in batch.keys)
        self.parts.logbook.warn_all(self._watched(lambda: self.watch.add(self.iteration, report, keys)))

    def _watched(self, look: Callable[[], list[str]]) -> list[str]:
        try:
            return look()
        except TrainingDiverged as error:
            if self.parts.automations and self.parts.automations.not_finite():
                return [f"{error}. A helper returned to the last good weights; training goes on."]
            rate = self.parts.optimizer.param_groups[0]["lr"]
            raise TrainingDiverged(
                f"{error}\nstopped: not finite at {self.iteration:,}/{self.total:,}; learning rate {rate:.2e}, "
                f"{self.parts.saver.last_good()}. Lower the learning rate, switch grad_clip on, or look at the images "
                "named above."
            ) from None

    # What is due after an iteration

    def _duties(self) -> None:
        if self._is_due(self.options.logger.print_freq) or self.iteration in FIRST_LINES:
            self._log()
        else:
            self.parts.logbook.advance(self.iteration)
        stop = self.parts.runtime.any_rank(self.parts.signals.received)
        if not stop and self._validation_is_due():
            self._validate()
            stop = self.parts.runtime.any_rank(self.parts.signals.received)
        if stop:
            self._stop(stop)
        if self._is_due(self.options.logger.save_checkpoint_freq):
            self._save(must_succeed=self.is_over)

    def _finish_interrupted_duties(self) -> None:
        """Do the validation that a run stopped just before it still owes."""
        if not self.is_owing():
            return
        self._validate()
        stop = self.parts.runtime.any_rank(self.parts.signals.received)
        if stop:
            self._stop(stop)
        if self.is_over:
            self._save(must_succeed=True)

    def is_owing(self) -> bool:
        """Whether the run was stopped after an iteration whose validation is still to be done."""
        return self.iteration > 0 and self._validation_is_due()

    def _is_due(self, every: int) -> bool:
        return self.iteration % every == 0 or self.is_over

    def _validation_is_due(self) -> bool:
        wanted = self.options.val.val_enabled and bool(self.parts.scorer.evaluations)
        return wanted and self._is_due(self.options.val.val_freq) and self.validated < self.iteration

    def _log(self) -> None:
        speed, wait = self.clock.read()
        values = self.window.read() | {"lr": self.parts.optimizer.param_groups[0]["lr"]}
        values |= {"it_per_s": speed, "data_wait": wait}
        numbers, pace = describe(values, (self.total - self.iteration) / speed if speed else 0.0)
        self.parts.logbook.info(f"iter {self.iteration:,}/{self.total:,}  {numbers}  {pace}")
        self.parts.logbook.event("train", self.iteration, values)
        self.parts.logbook.advance(self.iteration, f"{numbers}  data {wait:.0%}")

    # Validation

    def _validate(self) -> None:
        """Score every set on rank 0 and keep the best weights; interrupted, it is owed by the resumed run.

        Raises:
            DataError, OutOfMemory: an image cannot be used; the run was saved first.
        """
        outcome: RunError | EvaluationStopped | None = None
        scores: dict[str, float] = {}
        try:
            if self.parts.runtime.is_main:
                scores = self.parts.scorer.run(self.iteration, lambda: self.parts.signals.received != 0)
        except MetricError as error:
            self.parts.logbook.warn(f"No scores at iteration {self.iteration:,}: {error}. Training continues.")
        except (EvaluationStopped, DataError, OutOfMemory) as error:
            outcome = error
        outcome, scores = self.parts.runtime.from_main((outcome, scores))
        if isinstance(outcome, EvaluationStopped):
            return
        self.validated = self.iteration
        if outcome is not None:
            self._save_before_leaving()
            raise outcome
        if self.parts.automations:
            self.parts.automations.after_validation(self.iteration, scores)

    # Checkpoints

    def _save_before_leaving(self) -> None:
        """Save when an error ends the run: it is that error that the person is to hear of in the end."""
        try:
            self._save(must_succeed=True)
        except CannotWrite as error:
            self.parts.logbook.warn(str(error))

    def _save(self, must_succeed: bool) -> None:
        self.parts.logbook.warn_all(self._watched(self.watch.look))
        weights = {"net_g": self.parts.network.state_dict()}
        if self.parts.average:
            weights["net_g_ema"] = self.parts.average.network.state_dict()
        self.parts.saver.save(self.iteration, self.total, weights, self.state_dict(), must_succeed)

    def state_dict(self) -> dict[str, Any]:
        """Return everything besides the weights that an exact resume needs, as plain values and tensors."""
        runtime = self.parts.runtime
        return {
            "iteration": self.iteration,
            "validated": self.validated,
            "optimizer": self.parts.optimizer.state_dict(),
            "scaler": runtime.scaler.state_dict() if runtime.scaler else None,
            "window": self.window.state_dict(),
            "nonfinite_streak": self.watch.streak,
            "best": self.parts.scorer.best.state_dict(),
            "automations": self.parts.automations.state_dict() if self.parts.automations else None,
            "gate": self.parts.stepper.gate.state_dict(),
            "snapshot": self.snapshot.kept,
            "rng": runtime.gather(runtime.rng_state()),
            "environment": runtime.environment(),
            "identity": self.parts.identity,
            "stream": self.parts.data,
        }

    def restore(self, restored: Restored) -> None:
        """Take over a checkpoint completely; the random state comes last, after everything that may draw from it."""
        state, parts = restored.state, self.parts
        parts.network.load_state_dict(restored.weights["net_g"])
        if parts.average:
            parts.average.network.load_state_dict(restored.weights["net_g_ema"])
        # The file's hyper-parameters win over the recorded ones: a person who changes `lr` and resumes means it.
        given = [{k: v for k, v in group.items() if k != "params"} for group in parts.optimizer.param_groups]
        parts.runtime.restore_optimizer(parts.optimizer, state["optimizer"])
        for group, options in zip(parts.optimizer.param_groups, given, strict=True):
            group.update(options)
        if parts.runtime.scaler and state["scaler"]:
            parts.runtime.scaler.load_state_dict(state["scaler"])
        self.window.load_state_dict(state["window"], parts.runtime.device)
        self.watch.streak = state["nonfinite_streak"]
        parts.scorer.best.load_state_dict(state["best"])
        if parts.automations and state.get("automations"):
            before, now = state["stream"].get("automations", {}), parts.data.get("automations", {})
            parts.automations.load_state_dict(
                state["automations"], [name for name in now if before.get(name) == now[name]]
            )
            parts.stepper.gate.load_state_dict(state["gate"])
            self.snapshot.kept = state["snapshot"]
        self.iteration = parts.saver.last = state["iteration"]
        self.validated = state["validated"]
        self._set_rate(self.iteration - 1)
        rng = state["rng"]
        parts.runtime.set_rng_state(rng[parts.runtime.rank % len(rng)])

    # Ends

    def _stop(self, number: int) -> None:
        self.parts.logbook.stop_progress()
        self.parts.logbook.info("Stopping after this iteration…")
        self._save(must_succeed=True)
        raise Interrupted(
            f"stopped: signal {number} at {self.iteration:,}/{self.total:,}; saved {self.parts.saver.last:,}. "
            "Resume with the same command and --auto_resume.",
            number,
        )

    def _finish(self) -> None:
        self.parts.logbook.stop_progress()
        for metric, (value, iteration) in self.parts.scorer.best.scores.items():
            self.parts.logbook.info(f"best {metric}: {value:.4f} at iteration {iteration:,}")
        if self.parts.automations:
            self.parts.automations.finish()
            self.leave_early()

    def leave_early(self) -> None:
        """Leave the best weights behind where a helper ended the run. Raises `TrainingDiverged` if it had failed."""
        stop = self.parts.automations.stop if self.parts.automations else None
        if stop is None or self.iteration >= self.total:
            return
        if stop.failed:
            raise TrainingDiverged(
                f"stopped: {stop.reason} at {self.iteration:,}/{self.total:,}; {self.parts.saver.last_good()}. "
                "Lower the learning rate, or look at the validation images."
            )
        scorer = self.parts.scorer
        if self.parts.runtime.is_main:
            weights = scorer.network.state_dict()
            kept = self.parts.saver.keep_final(
                scorer.role, weights, (stop.best or "").removeprefix("val/"), self.iteration
            )
            self.parts.logbook.info(f"Left behind: {kept}.")
