"""How fast a run really is: its own images, its reading processes, its validation."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from traiNNer.batch import ImageSet
from traiNNer.build import build_evaluations
from traiNNer.config.options import TrainOptions
from traiNNer.engine.scoring import evaluating
from traiNNer.models.protocol import MAIN
from traiNNer.zero_config.bench import Bench, release
from traiNNer.zero_config.subsets import Few, Warm, lq_of

WARM, SECONDS = 3, 6.0
VALIDATED, VALIDATED_SIDE = 4, 512
"""Validation images that are timed, and the side of the part of each in LQ pixels."""
KEPT = 16
"""Images that stand for all where all stay in memory."""
IDLE = 0.03
"""Share of waiting for data that more reading processes are not worth."""


@dataclass
class Pace:
    """Iterations per second by number of reading processes, the number that is best, and what validation takes."""

    workers: int = 0
    it_per_s: float = 0.0
    waiting: float = 0.0
    tried: dict[int, float] = field(default_factory=dict)
    decode_s: float = 0.0
    """Seconds that reading every training image once takes, when they are kept in memory afterwards."""
    trained: int = 0
    trained_s: float = 0.0
    """Iterations that the pace comes from, and their seconds."""
    validation_s: float = 0.0
    first_validation_s: float = 0.0
    """What the first validation takes besides, for bicubic upscaling."""
    save_s: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


def measure_pace(
    options: TrainOptions,
    sets: dict[str, ImageSet],
    workers: Sequence[int],
    decoded_mb: float,
    say: Callable[[str], None],
) -> Pace:
    """Train a few seconds without and with reading processes, then validate a few images.

    Args:
        options: of the run.
        sets: opened image sets by key.
        workers: numbers of reading processes to try.
        decoded_mb: memory that all images take once they are decoded.
        say: told what is being measured.
    """
    pace = Pace()
    cache_mb = options.datasets["train"].get("cache_mb", 0)
    pace.decode_s = _decode_seconds(sets["train"])
    for count in workers:
        say(f"measuring the pace with {count} reading processes")
        all_in_memory = decoded_mb < cache_mb / max(1, count)  # every process has its own share
        done, seconds, waiting = _train(_with_workers(options, count), sets, all_in_memory)
        pace.tried[count] = done / seconds
        if done / seconds > pace.it_per_s * 1.03:
            pace.workers, pace.it_per_s, pace.waiting = count, done / seconds, waiting
            pace.trained, pace.trained_s = done, seconds
        if pace.waiting < IDLE:
            break
    if decoded_mb >= cache_mb / max(1, pace.workers):
        pace.decode_s = 0.0  # part of every step, which the pace has in it
    say("measuring validation")
    _measure_validation(pace, options, sets)
    return pace


def _with_workers(options: TrainOptions, count: int) -> TrainOptions:
    train = options.datasets["train"].model_copy(update={"num_worker_per_gpu": count})
    return options.model_copy(update={"datasets": options.datasets | {"train": train}})


def _train(options: TrainOptions, sets: dict[str, ImageSet], all_in_memory: bool) -> tuple[int, float, float]:
    """Return iterations, their seconds, and the share of the time that was spent waiting for data."""
    kept = Warm(sets["train"], KEPT)
    bench = Bench(options, sets | ({"train": kept} if all_in_memory else {}))
    try:
        if all_in_memory and not options.datasets["train"].num_worker_per_gpu:
            kept.read()
        bench.train(WARM)
        bench.waited_s, started, done = 0.0, time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            bench.train(1)
            done += 1
        seconds = time.perf_counter() - started
        return done, seconds, bench.waited_s / seconds
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


def _measure_validation(pace: Pace, options: TrainOptions, sets: dict[str, ImageSet]) -> None:
    """Measure what validation takes: parts of a few images are scored, and counted by their pixels; and saving."""
    bench = Bench(options, sets)
    network = bench.training.learners[MAIN].shipped
    upscale = bench.runtime.upscaler(network)
    for evaluation in build_evaluations(options, sets, bench.runtime):
        few = evaluation.dataset = Few(evaluation.dataset, VALIDATED, options.scale, VALIDATED_SIDE)
        share = few.share()
        seconds = []
        with evaluating(network):
            started = time.perf_counter()
            for index in range(len(few)):  # whatever is done once for a size, such as compiling, is done here
                upscale(bench.runtime.to_float(torch.from_numpy(lq_of(few.whole(index))[None])))
            once = time.perf_counter() - started
            for _ in range(2):  # the first one also scores bicubic, which later ones remember
                started = time.perf_counter()
                evaluation.run(upscale)
                seconds.append((time.perf_counter() - started) / share)
        pace.validation_s += seconds[1]
        pace.first_validation_s += max(0.0, seconds[0] - seconds[1]) + (once if options.use_compile else 0.0)
    pace.save_s = _saving_seconds(bench)


def _saving_seconds(bench: Bench) -> float:
    """Return what one checkpoint takes, written to a folder that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        weights = [learner.weights() for learner in bench.training.learners.values()]
        torch.save([bench.training.state().state_dict(), weights], Path(folder) / "state")
        return time.perf_counter() - started
