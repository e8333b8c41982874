"""How fast a run really is: its own images, its data workers, its validation."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from traiNNer.batch import ImageSet
from traiNNer.config.options import DatasetChoice, TrainOptions
from traiNNer.data.cache.images import OFF
from traiNNer.data.cache.room import MEMORY_SHARE
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.measuring.bench import Bench, release
from traiNNer.measuring.measured import Pace
from traiNNer.measuring.subsets import Few, Warm, lq_of
from traiNNer.models.protocol import MAIN
from traiNNer.run.build import build_evaluations
from traiNNer.utils.host import free_memory

WARM, SECONDS = 3, 6.0
VALIDATED, VALIDATED_SIDE = 4, 512
"""Validation images that are timed, and the side of the part of each in LQ pixels."""
KEPT = 16
"""Images that stand for all where all stay in memory."""
IDLE, LEAST_GAIN = 0.03, 1.03
"""Share of waiting for data that more data workers are not worth, and how much faster they have to be."""


@dataclass(frozen=True)
class _Run:
    """Iterations with a number of data workers, their seconds, and the share of these spent waiting for data."""

    workers: int
    done: int
    seconds: float
    waiting: float

    @property
    def it_per_s(self) -> float:
        return self.done / self.seconds


class _Overhead(NamedTuple):
    """Seconds of a validation, what the first one takes besides, and those of a checkpoint."""

    validation_s: float
    first_validation_s: float
    save_s: float


def measure_pace(
    options: TrainOptions,
    sets: dict[str, ImageSet],
    workers: Sequence[int],
    decoded_mb: float,
    say: Callable[[str], None],
) -> Pace:
    """Train a few seconds without and with data workers, then validate a few images.

    Args:
        options: of the run.
        sets: opened image sets by key.
        workers: numbers of data workers to try, at least one.
        decoded_mb: room that all images take once they are decoded.
        say: receives what is being measured.
    """
    all_kept = _are_kept(options.datasets["train"], decoded_mb)
    decode_s = _decode_seconds(sets["train"])
    runs: list[_Run] = []
    for count in workers:
        say(f"measuring the pace with {count} data workers")
        runs.append(_train(_with_workers(options, count), count, sets, all_kept))
        if _best(runs).waiting < IDLE:
            break
    best = _best(runs)
    say("measuring validation")
    return Pace(
        workers=best.workers,
        it_per_s=best.it_per_s,
        waiting=best.waiting,
        tried={run.workers: run.it_per_s for run in runs},
        trained=best.done,
        trained_s=best.seconds,
        # Where not all decoded images are kept, reading them is part of every step, which the pace has in it.
        decode_s=decode_s if all_kept else 0.0,
        **_measure_overhead(options, sets)._asdict(),
    )


def _are_kept(train: DatasetChoice, decoded_mb: float) -> bool:
    """Return whether all decoded images will be kept, and read from memory: `data/cache/` decides it for each image."""
    most, free = train.get("cache_mb"), free_memory()
    room = MEMORY_SHARE * free / 2**20 if free else 0.0
    return train.get("cache", OFF) != OFF and decoded_mb < (room if most is None else min(most, room))


def _best(runs: Sequence[_Run]) -> _Run:
    """Return the first run that no later one is clearly faster than."""
    best = runs[0]
    for run in runs[1:]:
        best = run if run.it_per_s > LEAST_GAIN * best.it_per_s else best
    return best


def _with_workers(options: TrainOptions, count: int) -> TrainOptions:
    train = options.datasets["train"].model_copy(update={"num_worker_per_gpu": count})
    return options.model_copy(update={"datasets": options.datasets | {"train": train}})


def _train(options: TrainOptions, workers: int, sets: dict[str, ImageSet], all_kept: bool) -> _Run:
    kept = Warm(sets["train"], KEPT)
    bench = Bench(options, sets | ({"train": kept} if all_kept else {}))
    try:
        if all_kept and not workers:
            kept.read()
        bench.train(WARM)
        waited_before, started, done = bench.waited_s, time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            bench.train(1)
            done += 1
        seconds = time.perf_counter() - started
        return _Run(workers, done, seconds, (bench.waited_s - waited_before) / seconds)
    finally:
        release(options, bench)


def _decode_seconds(dataset: ImageSet) -> float:
    """Return what reading every image once takes, from a few that were not read before."""
    count = min(8, len(dataset))
    places = [len(dataset) - 1 - place for place in range(count)]
    started = time.perf_counter()
    for place in places:
        dataset.whole(place)
    return (time.perf_counter() - started) / count * len(dataset)


def _measure_overhead(options: TrainOptions, sets: dict[str, ImageSet]) -> _Overhead:
    """Measure a validation, on parts of a few images and counted by their pixels, and a checkpoint."""
    bench = Bench(options, sets)
    network = bench.training.learners[MAIN].shipped
    upscale = bench.runtime.upscaler(network)
    few_images: dict[str, ImageSet] = {
        key: Few(one, VALIDATED, options.scale, VALIDATED_SIDE) for key, one in sets.items() if key != "train"
    }
    validation_s = first_validation_s = 0.0
    for evaluation in build_evaluations(options, few_images, bench.runtime):
        few = evaluation.dataset
        assert isinstance(few, Few)
        share = few.share()
        seconds = []
        with evaluating(network):
            started = time.perf_counter()
            for index in range(len(few)):  # whatever is done once for a size, such as compiling, is done here
                evaluation.output(upscale, lq_of(few.whole(index)))
            once = time.perf_counter() - started
            for _ in range(2):  # the first one also scores bicubic, which later ones remember
                started = time.perf_counter()
                evaluation.run(upscale)
                seconds.append((time.perf_counter() - started) / share)
        validation_s += seconds[1]
        first_validation_s += max(0.0, seconds[0] - seconds[1]) + (once if options.use_compile else 0.0)
    return _Overhead(validation_s, first_validation_s, _saving_seconds(bench))


def _saving_seconds(bench: Bench) -> float:
    """Return what one checkpoint takes, written to a folder that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        weights = [learner.weights() for learner in bench.training.learners.values()]
        torch.save([bench.training.state().state_dict(), weights], Path(folder) / "state")
        return time.perf_counter() - started
