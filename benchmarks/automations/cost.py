"""Overhead of the training automations: iterations with all of them and without, alternating.

    OMP_NUM_THREADS=2 python -m benchmarks.automations.cost [--iterations 500] [--skipped 200]

Two runs of options/train/2x_paragonsr2_automations.yml in one process, one with every automation on and one with the
switches off, alternate on the same batches. The first 200 iterations, in which the loss balance measures gradients and
the learning rate is proven by a probe every few iterations, happen once in a run: what all of them cost together is
printed by itself. Host time is the time spent in the host: recording, reading windows, calling automations; reference
time that of the loss of bicubic upscaling, which the learning rate compares with. What the probe takes, every 100
iterations, no median of iterations shows; it is timed by itself and added. Nothing else may run.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

from benchmarks.automations.rows import Z95
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.data.loader import TrainLoader
from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import create, run_folder
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.engine.signals import StopSignals
from traiNNer.engine.trainer import Trainer
from traiNNer.run.assemble import assemble
from traiNNer.run.build import build_networks, open_dataset, prepare_demo_if_named

OPTIONS = Path(__file__).resolve().parents[2] / "options/train/2x_paragonsr2_automations.yml"
OFF = ["train.training_automations.enabled=false", "train.dynamic_loss_scheduling.enabled=false"]
SKIPPED, TARGET, HOST_TARGET_MS = 200, 0.01, 0.2


def trainer(overrides: list[str], name: str, signals: StopSignals) -> tuple[Trainer, TrainLoader]:
    book = Logbook(quiet=True)
    loaded = load_options(OPTIONS, TrainOptions, [*overrides, f"name={name}"])
    options: TrainOptions = loaded.options
    runtime, _ = start_runtime(options)
    prepare_demo_if_named(options, book)
    sets = {key: open_dataset(options, key, book) for key in options.datasets}
    folder = run_folder(options)
    create(folder)
    store = CheckpointStore(folder)
    built = assemble(options, folder, runtime, build_networks(options), sets, book, signals, store, time.perf_counter)
    batch = options.datasets["train"].batch_size_per_gpu
    loader = TrainLoader(sets["train"], seed=1, batch_size=batch, total_iter=options.train.total_iter)
    return built, loader


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return a function that records how long its calls take."""

    def call(*given: object) -> object:
        started = time.perf_counter()
        answer = function(*given)
        spent.append(time.perf_counter() - started)
        return answer

    return call


def measure(iterations: int, skipped: int = SKIPPED) -> dict[str, float]:
    """Return milliseconds: medians of an iteration with and without and of the reference, means of host and probe.

    `ratio` is the median of the pairs and the probe's share, `low` and `high` its 95 % interval. `once_s` is what the
    skipped iterations took longer in all, in seconds.
    """
    with tempfile.TemporaryDirectory() as place, chdir(place), StopSignals() as signals:
        on, loader = trainer([], "on", signals)
        off, _ = trainer(OFF, "off", signals)
        host: list[float] = []
        probing: list[float] = []
        reference: list[float] = []
        automations, stepper = on.training.automations, on.training.stepper
        assert automations is not None
        assert stepper.reference is not None
        automations.after_step = timed(automations.after_step, host)
        stepper.reference = timed(stepper.reference, reference)
        automations.start(0)
        seconds: dict[str, list[float]] = {"on": [], "off": []}
        stream = iter(loader)
        for number in range(skipped + iterations):
            batches = next(stream)
            pair = (("on", on), ("off", off)) if number % 2 else (("off", off), ("on", on))
            for name, one in pair:
                started = time.perf_counter()
                one.training.advance(batches)
                seconds[name].append(time.perf_counter() - started)
            started = time.perf_counter()
            automations.after_iteration()
            probing.append(time.perf_counter() - started)
        loader.close()
    kept = {name: values[skipped:] for name, values in seconds.items()}
    first = {name: math.fsum(values[:skipped]) for name, values in seconds.items()}
    ratios = [a / b for a, b in zip(kept["on"], kept["off"], strict=True)]
    probe = statistics.fmean(probing[skipped:]) / statistics.median(kept["off"])
    low, high = interval_of_median(ratios)
    return {
        "on_ms": 1e3 * statistics.median(kept["on"]),
        "off_ms": 1e3 * statistics.median(kept["off"]),
        "ratio": statistics.median(ratios) + probe,
        "low": low + probe,
        "high": high + probe,
        "probe_ms": 1e3 * statistics.fmean(probing[skipped:]),
        "host_ms": 1e3 * statistics.fmean(host[skipped:]),
        "reference_ms": 1e3 * statistics.median(reference[skipped:]),
        "once_s": first["on"] - first["off"] + math.fsum(probing[:skipped]),
    }


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of a median by its order statistics (normal approximation of the binomial)."""
    ordered, half = sorted(values), Z95 * len(values) ** 0.5 / 2
    middle = len(values) / 2
    return ordered[max(0, int(middle - half))], ordered[min(len(values) - 1, int(middle + half))]


def report(iterations: int, skipped: int = SKIPPED) -> bool:
    """Print the figures; return whether the targets are met."""
    found = measure(iterations, skipped)
    is_cheap, is_quick = found["ratio"] <= 1 + TARGET, found["host_ms"] <= HOST_TARGET_MS
    sys.stdout.write(
        "| all on ms | all off ms | time on / off [95 %] | target | host ms | target | reference ms | probe ms "
        f"| first {skipped} s |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        f"| {found['on_ms']:.2f} | {found['off_ms']:.2f} | {found['ratio']:.4f} [{found['low']:.4f}, "
        f"{found['high']:.4f}] | <= {1 + TARGET} {'met' if is_cheap else 'MISS'} | {found['host_ms']:.3f} "
        f"| <= {HOST_TARGET_MS} {'met' if is_quick else 'MISS'} | {found['reference_ms']:.3f} "
        f"| {found['probe_ms']:.3f} "
        f"| {found['once_s']:.2f} |\n\n"
    )
    return is_cheap and is_quick


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--skipped", type=int, default=SKIPPED, help="first iterations that do not count")
    args = parser.parse_args()
    sys.exit(not report(args.iterations, args.skipped))
