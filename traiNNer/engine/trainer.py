"""The training loop, and what is due between two iterations: log, validation, checkpoint."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from traiNNer.batch import Batch
from traiNNer.config.options import TrainOptions
from traiNNer.engine.best import BestScores
from traiNNer.engine.checkpoint import CheckpointStore, Restored
from traiNNer.engine.clock import Clock
from traiNNer.engine.interrupt import StopSignals
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.run_folder import cause
from traiNNer.engine.runtime import Runtime
from traiNNer.engine.step import Stepper, StepReport
from traiNNer.engine.validation import Evaluation, EvaluationStopped, Scores
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.engine.window import NonfiniteWatch, Window
from traiNNer.errors import CannotWrite, Interrupted, TrainingDiverged

FIRST_LINES = (1, 2, 5, 10)
FAILED_SAVES_ALLOWED = 3
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
    evaluations: Sequence[Evaluation]
    best: BestScores
    store: CheckpointStore
    logbook: Logbook
    signals: StopSignals
    about: dict[str, Any]
    identity: dict[str, Any]
    data: dict[str, Any]
    place_image: Callable[[str, str, int], Path]


class Trainer:
    """Runs iterations until the last one, a stop signal, or an error."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.options = parts.options
        self.total = parts.options.train.total_iter
        self.iteration = 0
        self.validated = 0
        self.saved = 0
        self.failed_saves = 0
        self.window = Window()
        free = parts.runtime.reads_are_free
        limit = parts.options.train.max_nonfinite
        self.watch = NonfiniteWatch(limit, 1 if free else limit, FP16_SCALE_HALVINGS if parts.runtime.scaler else 0)
        self.clock = Clock()
        for group in parts.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self._evaluated = parts.average.network if parts.average else parts.network
        self._upscale = parts.runtime.upscaler(self._evaluated)

    def run(self, stream: Iterable[Sequence[Batch]], damaged: Callable[[Sequence[Batch]], list[str]]) -> None:
        """Train from the current iteration to the last. Raises what `errors.py` lists."""
        self.parts.logbook.start_progress(self.total, self.iteration)
        self._finish_interrupted_duties()
        batches = iter(stream)
        while self.iteration < self.total:
            with self.clock.waiting():
                micro_batches = next(batches)
            with self.clock.working():
                self._train(micro_batches)
            self._say_all(damaged(micro_batches))
            self._duties()
        self._finish()

    def _train(self, batches: Sequence[Batch]) -> None:
        for group in self.parts.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.parts.learning_rate(self.iteration)
        self.iteration += 1
        report = self.parts.stepper.step(batches)
        if self.parts.average:
            free = self.parts.runtime.reads_are_free
            self.parts.average.update(self.iteration, bool(report.finite) if free else report.finite)
        self._note(report, batches)

    def _note(self, report: StepReport, batches: Sequence[Batch]) -> None:
        self.window.add(report)
        keys = tuple(key for batch in batches for key in batch.keys)
        self._say_all(self._watched(lambda: self.watch.add(self.iteration, report, keys)))

    def _watched(self, look: Callable[[], list[str]]) -> list[str]:
        try:
            return look()
        except TrainingDiverged as error:
            rate = self.parts.optimizer.param_groups[0]["lr"]
            last = f"last good checkpoint: {self.saved:,}" if self.saved else "no checkpoint was saved yet"
            raise TrainingDiverged(
                f"{error}\nstopped: not finite at {self.iteration:,}/{self.total:,}; learning rate {rate:.2e}, {last}. "
                "Lower the learning rate, switch grad_clip on, or look at the images named above."
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
        if self._is_due(self.options.logger.save_checkpoint_freq) or self.iteration == self.total:
            self._save()

    def _finish_interrupted_duties(self) -> None:
        """Do the validation that a run stopped just before it still owes."""
        if self.iteration and self._validation_is_due():
            self._validate()
            if self.parts.signals.received:
                self._stop(self.parts.signals.received)

    def _is_due(self, every: int) -> bool:
        return self.iteration % every == 0 or self.iteration == self.total

    def _validation_is_due(self) -> bool:
        wanted = self.options.val.val_enabled and bool(self.parts.evaluations)
        return wanted and self._is_due(self.options.val.val_freq) and self.validated < self.iteration

    def _log(self) -> None:
        values = self.window.read()
        loss = values.get("loss/total", next((v for k, v in values.items() if k.startswith("loss/")), math.nan))
        values["lr"] = self.parts.optimizer.param_groups[0]["lr"]
        speed, wait = self.clock.read()
        values["it_per_s"], values["data_wait"] = speed, wait
        eta = (self.total - self.iteration) / speed if speed else 0.0
        terms = [f"{k.removeprefix('loss/')} {v:.4f}" for k, v in values.items() if k.startswith("loss/")]
        detail = f" ({', '.join(t for t in terms if not t.startswith('total'))})" if len(terms) > 1 else ""
        numbers = f"loss {loss:.4f}{detail}  lr {values['lr']:.2e}"
        pace = f"{speed:.2f} it/s  data {wait:.0%}  eta {duration(eta)}"
        self.parts.logbook.info(f"iter {self.iteration:,}/{self.total:,}  {numbers}  {pace}")
        self.parts.logbook.event("train", self.iteration, values)
        self.parts.logbook.advance(self.iteration, f"{numbers}  {pace}")

    # Validation

    def _validate(self) -> None:
        """Score every set on rank 0 and keep the best weights; interrupted, it is owed by the resumed run."""
        if self.parts.runtime.is_main:
            started = time.perf_counter()
            try:
                results = {evaluation.name: self._evaluate(evaluation) for evaluation in self.parts.evaluations}
            except EvaluationStopped:
                return
            self._record(results, time.perf_counter() - started)
        self.validated = self.iteration

    def _evaluate(self, evaluation: Evaluation) -> Scores:
        place = None
        if self.options.val.save_img:

            def place(key: str) -> Path:
                return self.parts.place_image(evaluation.name, key, self.iteration)

        with evaluating(self._evaluated):
            return evaluation.run(self._upscale, place, lambda: self.parts.signals.received != 0)

    def _record(self, results: dict[str, Scores], seconds: float) -> None:
        book = self.parts.logbook
        means = {name: scores.mean() for name, scores in results.items()}
        for name, mean in means.items():
            shown = "  ".join(describe_score(metric, mean) for metric in self.parts.best.directions if metric in mean)
            book.info(f"validation {self.iteration:,}  {name}: {shown}  ({seconds:.1f} s)")
        values = {f"val/{name}/{metric}": value for name, mean in means.items() for metric, value in mean.items()}
        overall = {
            metric: sum(mean[metric] for mean in means.values()) / len(means)
            for metric in self.parts.best.directions
            if all(metric in mean for mean in means.values())
        }
        book.event("validation", self.iteration, values)
        for name, scores in results.items():
            for key, image in scores.strips.items():
                book.image(f"val/{name}/{key}", image, self.iteration)
        for metric in self.parts.best.update(self.iteration, overall):
            self._save_best(metric, overall[metric])

    def _save_best(self, metric: str, value: float) -> None:
        role = "net_g_ema" if self.parts.average else "net_g"
        about = self._about() | {"metric": metric, "score": value}
        try:
            self.parts.store.save_best(f"net_g_best_{metric}", role, self._evaluated.state_dict(), about)
        except OSError as error:
            self.parts.logbook.warn(f"Could not save the best {metric} weights: {cause(error)}. Training continues.")

    # Checkpoints

    def _about(self) -> dict[str, Any]:
        return self.parts.about | {"iteration": self.iteration}

    def _save(self) -> None:
        self._say_all(self._watched(self.watch.look))
        state = self.state_dict()
        weights = {"net_g": self.parts.network.state_dict()}
        if self.parts.average:
            weights["net_g_ema"] = self.parts.average.network.state_dict()
        self._refuse_nonfinite(weights)
        failure = self._write(weights, state) if self.parts.runtime.is_main else None
        failure = self.parts.runtime.from_main(failure)
        if failure is None:
            self.saved, self.failed_saves = self.iteration, 0
            return
        self.failed_saves += 1
        last = f"last good checkpoint: {self.saved:,}" if self.saved else "there is no checkpoint yet"
        text = f"Could not save iteration {self.iteration:,}: {failure}."
        if self.failed_saves >= FAILED_SAVES_ALLOWED or self.iteration == self.total or self.parts.signals.received:
            raise CannotWrite(f"{text} Stopped at {self.iteration:,}/{self.total:,}; {last}.")
        self.parts.logbook.warn(f"{text} Training continues; {last}.")

    def _write(self, weights: dict[str, Any], state: dict[str, Any]) -> str | None:
        try:
            self.parts.store.save(self.iteration, weights, state, self._about())
        except OSError as error:
            return cause(error)
        return None

    def _refuse_nonfinite(self, weights: dict[str, dict[str, torch.Tensor]]) -> None:
        for role, tensors in weights.items():
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    last = f"{self.saved:,}" if self.saved else "none"
                    raise TrainingDiverged(
                        f"stopped: {role}.{name} is not finite at {self.iteration:,}/{self.total:,}. "
                        f"Nothing was saved; last good checkpoint: {last}. Lower the learning rate or switch grad_clip on."
                    )

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
            "best": self.parts.best.state_dict(),
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
        parts.optimizer.load_state_dict(state["optimizer"])
        for group, options in zip(parts.optimizer.param_groups, given, strict=True):
            group.update(options)
        if parts.runtime.scaler and state["scaler"]:
            parts.runtime.scaler.load_state_dict(state["scaler"])
        self.window.load_state_dict(state["window"], parts.runtime.device)
        self.watch.streak = state["nonfinite_streak"]
        parts.best.load_state_dict(state["best"])
        self.iteration = self.saved = state["iteration"]
        self.validated = state["validated"]
        rng = state["rng"]
        parts.runtime.set_rng_state(rng[parts.runtime.rank % len(rng)])

    def restart_average(self) -> None:
        """Let the average start from the network's present weights, after pretrained ones were loaded."""
        if self.parts.average:
            self.parts.average.network.load_state_dict(self.parts.network.state_dict())

    # Ends

    def _stop(self, number: int) -> None:
        self.parts.logbook.stop_progress()
        self.parts.logbook.info("Stopping after this iteration…")
        self._save()
        raise Interrupted(
            f"stopped: signal {number} at {self.iteration:,}/{self.total:,}; saved {self.saved:,}. "
            "Resume with the same command and --auto_resume.",
            number,
        )

    def _finish(self) -> None:
        self.parts.logbook.stop_progress()
        for metric, (value, iteration) in self.parts.best.scores.items():
            self.parts.logbook.info(f"best {metric}: {value:.4f} at iteration {iteration:,}")

    def _say_all(self, warnings: Sequence[str]) -> None:
        for text in warnings:
            self.parts.logbook.warn(text)


def describe_score(metric: str, mean: dict[str, float]) -> str:
    """Return `psnr 31.42 (bicubic 30.10, +1.32)`, or without the bracket where there is no baseline."""
    digits = 2 if abs(mean[metric]) >= 2 else 4
    text = f"{metric} {mean[metric]:.{digits}f}"
    baseline = mean.get(f"{metric}_bicubic")
    if baseline is None:
        return text
    return f"{text} (bicubic {baseline:.{digits}f}, {mean[metric] - baseline:+.{digits}f})"


def duration(seconds: float) -> str:
    """Return a time to go as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a block; every module has its own mode back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
