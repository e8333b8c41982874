"""What trains: the learners, the model that gives them losses, and what happens in one iteration."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from traiNNer.batch import Batch, BatchPlan
from traiNNer.engine.checkpoint.state import Progress, StateTable
from traiNNer.engine.control.host import AutomationHost
from traiNNer.engine.learner import Learner
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.snapshot import Snapshot, restore_on_exit
from traiNNer.engine.step import Stepper
from traiNNer.engine.step_report import StepReport
from traiNNer.engine.suspicion import Suspicion
from traiNNer.engine.window import NonfiniteWatch, Window
from traiNNer.errors import TrainingDiverged
from traiNNer.models.protocol import MAIN


class Training:
    """Trains one iteration after the other; knows nothing of the length of the run, of validation and of files.

    Args:
        runtime: device and ranks.
        stepper: with the model and the learners.
        snapshot: what a rollback returns to.
        watch: the end of a run that does not recover from losses that are not finite.
        logbook: where warnings are written.
        plan: the sizes of the loader's batches.
        largest_crop: side of the largest training crops in LQ pixels; None where it is not fixed.
        automations: the automation host, or None.
        suspicion: notes how well each image is explained, or None.
    """

    def __init__(
        self,
        runtime: Runtime,
        stepper: Stepper,
        snapshot: Snapshot,
        watch: NonfiniteWatch,
        logbook: Logbook,
        plan: BatchPlan,
        automations: AutomationHost | None = None,
        largest_crop: int | None = None,
        suspicion: Suspicion | None = None,
    ) -> None:
        self.runtime = runtime
        self.stepper = stepper
        self.snapshot = snapshot
        self.watch = watch
        self.logbook = logbook
        self.plan = plan
        self.automations = automations
        self.largest_crop = largest_crop
        self.suspicion = suspicion
        self.learners: Mapping[str, Learner] = stepper.learners
        self.progress = Progress()
        self.window = Window(runtime.device, runtime.mean_over_ranks)

    @property
    def iteration(self) -> int:
        """The last iteration that was trained; 0 before the first."""
        return self.progress.iteration

    @property
    def is_whole(self) -> bool:
        """Whether everything is as it was after `iteration`, so that a checkpoint of it may be written."""
        return self.stepper.is_whole

    @property
    def learning_rate(self) -> float:
        """The learning rate of the main learner that the last iteration was trained with."""
        return self.learners[MAIN].optimizer.param_groups[0]["lr"]

    def state(self) -> StateTable:
        """Return the table of all that an exact resume needs besides weights, best scores and random numbers."""
        entries = {
            "progress": self.progress,
            "learners": StateTable(self.learners),
            "model": self.stepper.model,
            "window": self.window,
            "watch": self.watch,
            "snapshot": self.snapshot,
        }
        if self.runtime.scaler:
            entries["scaler"] = self.runtime.scaler
        if self.automations:
            entries["automations"] = self.automations
        if self.suspicion:
            entries["suspicion"] = self.suspicion
        return StateTable(entries, optional=("scaler", "automations", "suspicion"))

    def advance(self, batches: Sequence[Batch]) -> StepReport:
        """Do one iteration: learning rates, step, EMA, automations. Raises `TrainingDiverged`."""
        self.apply_learning_rates(self.iteration)
        report = self.stepper.step(batches, self.iteration + 1)
        self.progress.iteration += 1
        for name, update in report.updates.items():
            average = self.learners[name].average
            if average:
                applied = bool(update.applied) if self.runtime.reads_are_free else update.applied
                self.runtime.change(partial(average.update, self.iteration, applied), average.tensors)
        if self.automations:
            self.automations.after_step(self.iteration, report)
        self.window.add(report)
        keys = tuple(key for batch in batches for key in batch.keys)
        if self.suspicion:
            self.suspicion.note(self.iteration, keys, report.images)
        self._watched(lambda: self.watch.add(self.iteration, report, keys))
        return report

    def apply_learning_rates(self, iteration: int) -> None:
        """Set every learner's learning rate to that of an iteration, counted from 0."""
        for learner in self.learners.values():
            learner.apply_learning_rate(iteration)

    def warm_up_memory(self, batches: Sequence[Batch]) -> None:
        """Do the first step once and undo it where memory is managed: afterwards every allocation has been seen."""
        if self.runtime.has_memory and self.stepper.on_out_of_memory:
            self.apply_learning_rates(0)
            if self.largest_crop:
                batches = [batch.grown(self.largest_crop) for batch in batches]
            undone = restore_on_exit(self.learners, self.stepper.model, self.runtime)
            with self.runtime.memory_apart(), undone:
                self.stepper.step(batches)

    def inspect_pending(self) -> None:
        """Inspect the steps that were only noted so far. Raises `TrainingDiverged`."""
        self._watched(self.watch.flush)

    def _watched(self, inspect: Callable[[], list[str]]) -> None:
        try:
            warnings = inspect()
        except TrainingDiverged as error:
            if not (self.automations and self.automations.not_finite()):
                raise
            warnings = [f"{error}. Rolled back to the last good weights; training continues."]
        self.logbook.warn_all(warnings)
