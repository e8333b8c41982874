"""Where the time of a run goes: some iterations of it are trained with the very objects that train.py builds."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from traiNNer.batch import Batch, ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.engine.runtime.stopwatch import Stopwatch
from traiNNer.engine.training import Training
from traiNNer.measuring.bench import Bench
from traiNNer.measuring.limits import Limits, measure_limits
from traiNNer.measuring.subsets import Few
from traiNNer.models.protocol import MAIN
from traiNNer.run.build import build_evaluations, build_loader

WARM_UP = 3
LEAST_ITERATIONS = 3
VALIDATED = 2
"""Images of each set that validation is timed with."""
DATA, TRANSFER, FORWARD, LOSSES, BACKWARD = "data", "transfer", "forward", "losses", "backward"
UPDATE, EMA, REST, LOG, VALIDATION = "update", "EMA", "automations", "log", "validation"
PARTS = (DATA, TRANSFER, FORWARD, LOSSES, BACKWARD, UPDATE, EMA, REST, LOG, VALIDATION)
STEP, ITERATION = "step", "iteration"


@dataclass(frozen=True)
class Breakdown:
    """The seconds of every part of an iteration, and what is known about it.

    Args:
        parts: seconds per iteration; of log and validation, a share of each time.
        flops: floating-point operations of forward and backward.
        moved: bytes that a part has to read and write at least.
        limits: of the device.
        about: the device in words.
        images: per iteration.
        validation_s: seconds of one validation.
    """

    parts: Mapping[str, float]
    flops: float
    moved: Mapping[str, float]
    limits: Limits
    about: str
    images: int
    validation_s: float

    @property
    def total(self) -> float:
        """Seconds per iteration."""
        return sum(self.parts.values())

    @property
    def achieved(self) -> float:
        """Return the share of the device's arithmetic that forward and backward use."""
        seconds = self.parts[FORWARD] + self.parts[BACKWARD]
        return self.flops / seconds / self.limits.flops if seconds else 0.0

    def least(self, part: str) -> float | None:
        """Return the seconds that a part needs at least at the device's limits, where that is known."""
        if part in self.moved:
            return self.moved[part] / self.limits.bandwidth
        # Backward computes the gradients of inputs and of weights: twice the forward.
        share = {FORWARD: 1 / 3, BACKWARD: 2 / 3}.get(part)
        return None if share is None else share * self.flops / self.limits.flops


def measure(options: TrainOptions, sets: dict[str, ImageSet], seconds: float) -> Breakdown:
    """Train for about so many seconds, and validate a few images. Writes nothing; the trained weights are dropped."""
    bench = Bench(options, sets)
    loader = build_loader(options, sets["train"], bench.runtime)
    try:
        stream = iter(loader)
        for _ in range(WARM_UP):
            bench.training.advance(next(stream))
        batches = next(stream)
        flops = count_flops(bench.training, batches)
        parts = _train(bench.training, stream, seconds)
    finally:
        loader.close()
    parts[LOG] = _time_log(bench.training) / options.logger.print_freq
    validation_s = _time_validation(bench)
    parts[VALIDATION] = validation_s / options.val.val_freq
    moved = _moved(bench.training, batches)
    images = sum(len(batch.keys) for batch in batches)
    about = bench.runtime.about
    return Breakdown(parts, flops, moved, measure_limits(bench.runtime), about, images, validation_s)


def count_flops(training: Training, batches: Sequence[Batch]) -> float:
    """Return the floating-point operations of one iteration, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        training.advance(batches)
    return float(counter.get_total_flops())


def _train(training: Training, stream: Iterator[Sequence[Batch]], seconds: float) -> dict[str, float]:
    """Train iterations and return the seconds of every part of one, on average."""
    watch, count = Stopwatch(training.runtime.device), 0
    started, waited = time.perf_counter(), 0.0
    with watched(training, watch):
        while count < LEAST_ITERATIONS or time.perf_counter() - started < seconds:
            asked = time.perf_counter()
            batches = next(stream)
            waited += time.perf_counter() - asked
            with watch.part(ITERATION):
                training.advance(batches)
            count += 1
        found = watch.read()
    elapsed = time.perf_counter() - started
    each = {name: found.get(name, 0.0) / count for name in (TRANSFER, FORWARD, BACKWARD, UPDATE, EMA)}
    each[DATA] = waited / count
    each[LOSSES] = max(0.0, found[STEP] / count - sum(each[name] for name in (TRANSFER, FORWARD, BACKWARD, UPDATE)))
    each[REST] = max(0.0, (elapsed - waited) / count - found[STEP] / count - each[EMA])
    return {name: each.get(name, 0.0) for name in PARTS}


@contextmanager
def watched(training: Training, watch: Stopwatch) -> Iterator[None]:
    """Let a stopwatch measure the parts of every iteration while a block runs."""
    stepper, runtime = training.stepper, training.runtime
    calls: list[tuple[Any, str, str]] = [
        (runtime, "move", TRANSFER),
        (runtime, "backward", BACKWARD),
        (runtime, "update", UPDATE),
        (stepper, "step", STEP),
    ]
    calls += [(one.average, "update", EMA) for one in training.learners.values() if one.average]
    with ExitStack() as held:
        for owner, name, part in calls:
            held.enter_context(patch.object(owner, name, watch.around(getattr(owner, name), part)))
        for learner in training.learners.values():
            for handle in _watched_forward(learner.network, watch):
                held.callback(handle.remove)
        yield


def _watched_forward(network: nn.Module, watch: Stopwatch) -> list[Any]:
    return [
        network.register_forward_pre_hook(lambda *_: watch.start(FORWARD)),
        network.register_forward_hook(lambda *_: watch.stop(FORWARD)),
    ]


def _time_log(training: Training) -> float:
    started = time.perf_counter()
    training.window.read()
    return time.perf_counter() - started


def _time_validation(bench: Bench) -> float:
    """Return the seconds of one validation, judged by a few images of every set."""
    options, network = bench.options, bench.training.learners[MAIN].shipped
    if not options.val.val_enabled:
        return 0.0
    few = {key: Few(one, VALIDATED, options.scale) for key, one in bench.sets.items() if not key.startswith("train")}
    upscale, seconds = bench.runtime.upscaler(network), 0.0
    for evaluation in build_evaluations(options, dict(few), bench.runtime):
        with evaluating(network):
            evaluation.run(upscale)  # the first one scores bicubic upscaling too, which is done once in a run
            started = time.perf_counter()
            evaluation.run(upscale)
        part = evaluation.dataset
        seconds += (time.perf_counter() - started) / (part.share() if isinstance(part, Few) else 1.0)
    return seconds


def _moved(training: Training, batches: Sequence[Batch]) -> dict[str, float]:
    """Return the bytes that some parts cannot do without reading or writing."""
    moved = {UPDATE: 0.0, EMA: 0.0}
    for learner in training.learners.values():
        size = sum(parameter.numel() * parameter.element_size() for parameter in learner.parameters)
        moved[UPDATE] += 7 * size  # weight, gradient and two moments are read, all but the gradient written
        moved[EMA] += 3 * size if learner.average else 0  # weight and average are read, the average written
    pixels = sum(image.numel() for batch in batches for image in (batch.lq, batch.gt) if image is not None)
    return moved | {TRANSFER: 5.0 * pixels}  # a byte is read and a float written
