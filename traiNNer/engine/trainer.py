"""The training loop, and what is due between two iterations: log, validation, checkpoint."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from traiNNer.batch import Batch
from traiNNer.config.options import TrainOptions
from traiNNer.engine.checkpoint.saver import Saver
from traiNNer.engine.checkpoint.state import FORMAT, RandomState, StateTable, restore_part
from traiNNer.engine.checkpoint.store import Restored
from traiNNer.engine.control.events import Stop
from traiNNer.engine.ending import Ending
from traiNNer.engine.evaluation.evaluation import EvaluationStopped
from traiNNer.engine.evaluation.scorer import Scorer
from traiNNer.engine.evaluation.showcase import Showcase
from traiNNer.engine.evaluation.suspects import EARLIEST, Examination, nominated
from traiNNer.engine.gradient_share import ShareWatch
from traiNNer.engine.log.clock import Clock
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.log.progress import describe
from traiNNer.engine.signals import StoppedWaiting, StopSignals, interrupted_by
from traiNNer.engine.training import Training
from traiNNer.errors import (
    CannotWrite,
    CheckpointError,
    DataError,
    Interrupted,
    MetricError,
    OutOfMemory,
    RunError,
    TrainingDiverged,
)

FIRST_LINES = (1, 2, 5, 10)


@dataclass(frozen=True)
class Recording:
    """What is recorded: checkpoints and log; `facts` (options, data, environment) go into every training state."""

    saver: Saver
    logbook: Logbook
    signals: StopSignals
    facts: Mapping[str, Any]


class Trainer:
    """Runs iterations until the last one, a stop signal, or an error.

    Args:
        options: of the run.
        training: what trains.
        scorer: what is scored.
        recording: what is recorded.
        ending: plans the end of a run that the clock ends; None for one with a fixed number of iterations.
        examination: looks at training images that may hurt, in the end; None for none.
        showcase: keeps images of the last validation for the report; None keeps none.
    """

    def __init__(
        self,
        options: TrainOptions,
        training: Training,
        scorer: Scorer,
        recording: Recording,
        ending: Ending | None = None,
        examination: Examination | None = None,
        showcase: Showcase | None = None,
    ) -> None:
        self.options = options
        self.ending = ending
        self.examination = examination
        self.showcase = showcase
        self.training = training
        self.scorer = scorer
        self.saver = recording.saver
        self.logbook = recording.logbook
        self.signals = recording.signals
        self.facts = recording.facts
        self.runtime = training.runtime
        self.clock = Clock()
        self._share_watch = ShareWatch()

    def run(self, stream: Iterable[Sequence[Batch]], damaged: Callable[[Sequence[Batch]], list[str]]) -> None:
        """Train from the current iteration to the last. Raises what `errors.py` lists."""
        self.logbook.start_progress(self.total, self.iteration)
        if self.training.automations:
            if self.ending:
                self.training.automations.expect_end(self.total)
            self.training.automations.start(self.iteration)
        self._finish_interrupted_duties()
        batches = iter(stream)
        while not self.is_over:
            micro_batches = self._wait_for(batches)
            if self.iteration == 0:
                self.training.warm_up_memory(micro_batches)
            with self.clock.working(), self._explained_divergence(), self._saved_if_code_fails():
                self.training.advance(micro_batches)
            if self.training.automations:
                self.training.automations.after_iteration()
            with self._saved_if_data_fails():
                self.logbook.warn_all(damaged(micro_batches))
            self._look_at_the_clock()
            self._duties()
        self._finish()

    @property
    def iteration(self) -> int:
        """The last iteration that was trained."""
        return self.training.iteration

    @property
    def total(self) -> int:
        """The last iteration of the run; where the clock ends it, as it is planned now."""
        return (self.ending and self.ending.end) or self.options.train.total_iter

    @property
    def stop(self) -> Stop | None:
        """The decision of an automation to end the run early."""
        return self.training.automations.stop if self.training.automations else None

    @property
    def is_over(self) -> bool:
        """Whether the last iteration is done, or an automation decided that this one was the last."""
        return self.iteration >= self.total or bool(self.stop)

    def _wait_for(self, batches: Iterator[Sequence[Batch]]) -> Sequence[Batch]:
        """Return the data of the next iteration; a stop signal is answered even if they never come."""
        # One rank of several cannot stop alone.
        listening = self.signals.answered_at_once() if self.runtime.world == 1 else nullcontext()
        try:
            with self._saved_if_data_fails(), self.clock.waiting(), listening:
                return next(batches)
        except StoppedWaiting:
            self._interrupt(self.signals.received)

    @contextmanager
    def _saved_if_data_fails(self) -> Iterator[None]:
        """Save what was trained so far when the data end a run: between two iterations nothing is half done."""
        try:
            yield
        except DataError:
            # One rank of several cannot save alone.
            if self.runtime.world == 1 and self.iteration > self.saver.last:
                self._save_before_leaving()
            raise

    @contextmanager
    def _saved_if_code_fails(self) -> Iterator[None]:
        """Save what was trained so far when the code of a component ends a run, unless an update is half done."""
        try:
            yield
        except (RunError, EvaluationStopped):  # answered elsewhere
            raise
        except Exception:
            # One rank of several cannot save alone.
            if self.runtime.world == 1 and self.training.is_whole and self.iteration > self.saver.last:
                self._save_before_leaving()
            raise

    @contextmanager
    def _explained_divergence(self) -> Iterator[None]:
        """Say at which iteration and learning rate a run diverged, and what is left of it."""
        try:
            yield
        except TrainingDiverged as error:
            raise TrainingDiverged(
                f"{error}\nstopped: not finite at {self.iteration:,}/{self.total:,}; learning rate "
                f"{self.training.learning_rate:.2e}, {self.saver.last_good()}. Lower the learning rate, switch "
                "grad_clip on, or check the images named above."
            ) from None

    # What is due after an iteration

    def _look_at_the_clock(self) -> None:
        """Where the clock ends the run, read it, and tell of an end that is planned anew."""
        if not self.ending:
            return
        plan = self.ending.look(self.iteration)
        if plan is None:
            return
        self.logbook.set_total(plan.end)
        self.ending.tell(self.logbook, plan)
        if self.training.automations and plan.end > self.iteration:
            self.training.automations.expect_end(plan.end, is_running=True)

    @contextmanager
    def _as_validation(self) -> Iterator[None]:
        with self._saved_if_code_fails(), self.clock.validating():
            yield

    def _aside(self, duty: str) -> AbstractContextManager[None]:
        return self.ending.aside(duty) if self.ending else nullcontext()

    def _duties(self) -> None:
        if self._is_due(self.options.logger.print_freq) or self.iteration in FIRST_LINES:
            self._log()
        else:
            self.logbook.advance(self.iteration)
        stop = self._signal()
        if not stop and self._validation_is_due():
            self._validate()
            stop = self._signal()
        if stop:
            self._interrupt(stop)
        if self._is_due(self.options.logger.save_checkpoint_freq):
            self._save(must_succeed=self.is_over)

    def _finish_interrupted_duties(self) -> None:
        """Do the validation that is pending in a run that was stopped just before it."""
        if not self.has_pending_validation():
            return
        self._validate()
        stop = self._signal()
        if stop:
            self._interrupt(stop)
        if self.is_over:
            self._save(must_succeed=True)

    def has_pending_validation(self) -> bool:
        """Whether the run was stopped after an iteration whose validation is still to be done."""
        return self.iteration > 0 and self._validation_is_due()

    def _signal(self) -> int:
        """Return the stop signal that any rank received; 0: none."""
        return self.runtime.max_over_ranks(self.signals.received)

    def _is_due(self, every: int) -> bool:
        return self.iteration % every == 0 or self.is_over

    def _validation_is_due(self) -> bool:
        wanted = self.options.val.val_enabled and bool(self.scorer.evaluations)
        return wanted and self._is_due(self.options.val.val_freq) and self.training.progress.validated < self.iteration

    def _log(self) -> None:
        speed, wait = self.clock.read()
        values = self.training.window.read() | {"lr": self.training.learning_rate}
        values |= {"it_per_s": speed, "data_wait": wait}
        left = (self.total - self.iteration) / speed if speed else 0.0
        numbers, pace = describe(values, max(0.0, self.ending.left) if self.ending else left)
        self.logbook.info(f"iter {self.iteration:,}/{self.total:,}  {numbers}  {pace}")
        self.logbook.event("train", self.iteration, values)
        self.logbook.warn_all(self._share_watch.look(values))
        self.logbook.advance(self.iteration, f"{numbers}  data {wait:.0%}")

    # Validation

    def _validate(self) -> None:
        """Score every set and keep the best weights; interrupted, it stays pending for the resumed run.

        Raises:
            DataError, OutOfMemory: an image cannot be used; the run was saved first.
            CheckpointError: the run's folder is gone.
        """
        outcome: RunError | EvaluationStopped | None = None
        scores: dict[str, float] = {}
        try:
            with self._aside("validation"), self.runtime.memory_apart(), self._as_validation():
                is_stopped, reading = (lambda: self.signals.received != 0), self.signals.answered_at_once
                scores = self.scorer.run(self.iteration, is_stopped, reading)
        except MetricError as error:
            self.logbook.warn(f"No scores at iteration {self.iteration:,}: {error}. Training continues.")
        except StoppedWaiting:
            outcome = EvaluationStopped()
        except (EvaluationStopped, DataError, OutOfMemory, CheckpointError) as error:
            outcome = error
        outcome, scores = self.runtime.from_main((outcome, scores))
        if isinstance(outcome, EvaluationStopped):
            return
        self.training.progress.note_validation()
        if outcome is not None:
            self._save_before_leaving()
            raise outcome
        if self.training.automations:
            self.training.automations.after_validation(self.iteration, scores)

    # Checkpoints

    def _save_before_leaving(self) -> None:
        """Save when an error ends the run: it is that error that the user has to see in the end."""
        try:
            self._save(must_succeed=True)
            self.logbook.info(f"Iteration {self.saver.last:,} was saved; --auto_resume continues from there.")
        except (CannotWrite, CheckpointError, RuntimeError) as error:  # a device that failed gives nothing back
            self.logbook.warn(f"Nothing more was saved: {error}")

    def _save(self, must_succeed: bool) -> None:
        with self._explained_divergence():
            self.training.inspect_pending()
        weights = {role: w for learner in self.training.learners.values() for role, w in learner.weights().items()}
        state = {"format": FORMAT, **self.facts, **self.state().state_dict()}
        with self._aside("save"):
            self.saver.save(self.iteration, self.total, weights, state, must_succeed)

    def state(self) -> StateTable:
        """Return the table of all that an exact resume needs besides the weights; random numbers come last."""
        training = self.training.state()
        ending = {"ending": self.ending} if self.ending else {}
        entries = {**training, **ending, "best": self.scorer.best, "rng": RandomState(self.runtime)}
        return StateTable(entries, {*training.optional, "ending"})

    def restore(self, restored: Restored) -> None:
        """Take over a checkpoint completely."""
        for learner in self.training.learners.values():
            restore_part(f"the weights ({learner.name})", partial(learner.load_weights, restored.weights))
        self.state().load_state_dict(restored.state)
        self.saver.resume_at(self.iteration)
        if self.ending and (plan := self.ending.go_on(self.iteration)):
            self.ending.tell(self.logbook, plan)
        self.training.apply_learning_rates(self.iteration - 1)

    # Ends

    def _interrupt(self, number: int) -> NoReturn:
        self.logbook.stop_progress()
        if not self.iteration:
            raise Interrupted(f"{interrupted_by(number)} before there was anything to save.", number)
        self.logbook.info("Stopping after this iteration…")
        if self.iteration > self.saver.last:
            self._save(must_succeed=True)
        raise Interrupted(
            f"{interrupted_by(number)} at {self.iteration:,}/{self.total:,}; checkpoint {self.saver.last:,} saved. "
            "Continue with --auto_resume.",
            number,
        )

    def _finish(self) -> None:
        self.logbook.stop_progress()
        if self.clock.validations:
            self.logbook.info(f"{self.clock.describe_validations()} (val_freq {self.options.val.val_freq:,}).")
        for metric, (value, iteration) in self.scorer.best.scores.items():
            self.logbook.info(f"best {metric}: {value:.4f} at iteration {iteration:,}")
        if self.showcase and self.runtime.is_main:
            self.showcase.run(self.scorer, self.iteration)
        self._examine_images()
        if self.training.automations:
            self.training.automations.finish()
            self.leave_early()

    def _examine_images(self) -> None:
        """Look at the training images that the network explains worst, unless it has hardly been trained."""
        suspicion, examination = self.training.suspicion, self.examination
        if suspicion is None or examination is None or self.iteration < EARLIEST:
            return
        places = suspicion.worst(nominated(suspicion.images))
        if self.runtime.is_main:
            examination.run(places, self.iteration)

    def leave_early(self) -> None:
        """Leave the best weights behind where an automation ended the run. Raises `TrainingDiverged` if it failed."""
        stop = self.stop
        if stop is None or self.iteration >= self.total:
            return
        if stop.failed:
            raise TrainingDiverged(
                f"stopped: {stop.reason} at {self.iteration:,}/{self.total:,}; {self.saver.last_good()}. "
                "Lower the learning rate, or check the validation images."
            )
        if self.runtime.is_main:
            weights = self.scorer.network.state_dict()
            kept = self.saver.keep_final(
                self.scorer.role, weights, (stop.best or "").removeprefix("val/"), self.iteration
            )
            self.logbook.info(f"Left behind: {kept}.")
