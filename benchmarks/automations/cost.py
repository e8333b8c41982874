"""Overhead of the training automations: iterations with all of them and without, alternating.

    OMP_NUM_THREADS=2 python -m benchmarks.automations.cost [--iterations 500]

Two runs of options/train/2x_paragonsr2_automations.yml in one process, one with every automation on and one with the
switches off, alternate on the same batches. The first 50 iterations, in which the loss balance measures gradients
once, do not count. Host time is the time spent in the host: recording, reading windows, calling automations.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path

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
SKIPPED, TARGET, HOST_TARGET_MS = 50, 0.01, 0.2


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


def timed_host(on: Trainer, spent: list[float]) -> None:
    """Record how long the host takes in every iteration."""
    host = on.training.automations
    assert host is not None
    inner = host.after_step

    def after_step(*arguments: object) -> None:
        started = time.perf_counter()
        inner(*arguments)  # pyright: ignore[reportArgumentType]
        spent.append(time.perf_counter() - started)

    host.after_step = after_step


def measure(iterations: int) -> dict[str, float]:
    """Return medians in milliseconds: an iteration with and without, their ratio in pairs, the host's mean."""
    with tempfile.TemporaryDirectory() as place, chdir(place), StopSignals() as signals:
        on, loader = trainer([], "on", signals)
        off, _ = trainer(OFF, "off", signals)
        host: list[float] = []
        timed_host(on, host)
        assert on.training.automations is not None
        on.training.automations.start(0)
        seconds: dict[str, list[float]] = {"on": [], "off": []}
        stream = iter(loader)
        for number in range(SKIPPED + iterations):
            batches = next(stream)
            pair = (("on", on), ("off", off)) if number % 2 else (("off", off), ("on", on))
            for name, one in pair:
                started = time.perf_counter()
                one.training.advance(batches)
                seconds[name].append(time.perf_counter() - started)
        loader.close()
    kept = {name: values[SKIPPED:] for name, values in seconds.items()}
    ratios = [a / b for a, b in zip(kept["on"], kept["off"], strict=True)]
    return {
        "on_ms": 1e3 * statistics.median(kept["on"]),
        "off_ms": 1e3 * statistics.median(kept["off"]),
        "ratio": statistics.median(ratios),
        "host_ms": 1e3 * statistics.fmean(host[SKIPPED:]),
    }


def report(iterations: int) -> bool:
    """Print the figures; return whether the targets are met."""
    found = measure(iterations)
    sys.stdout.write(
        f"all on {found['on_ms']:.2f} ms, all off {found['off_ms']:.2f} ms; median of the paired ratios "
        f"{found['ratio']:.4f} (target at most {1 + TARGET}); host {found['host_ms']:.3f} ms an iteration "
        f"(target at most {HOST_TARGET_MS})\n\n"
    )
    return found["ratio"] <= 1 + TARGET and found["host_ms"] <= HOST_TARGET_MS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--iterations", type=int, default=500)
    sys.exit(not report(parser.parse_args().iterations))
