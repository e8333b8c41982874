"""Overhead of a training iteration besides forward, backward and update: logging, EMA, checks.

    OMP_NUM_THREADS=2 python benchmarks/bookkeeping.py [--iterations 300]

A real run of `train.py` on the demo set (options/2x_paragonsr2.yml without validation), in a temporary folder, with the
parts of the loop timed from outside. Waiting for data and the last save are excluded.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import chdir
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from traiNNer.cli.train import main as train_command
from traiNNer.engine.log.clock import Clock
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import Stepper
from traiNNer.engine.trainer import Trainer
from traiNNer.engine.weight_average import WeightAverage

SPENT: dict[str, float] = defaultdict(float)
TARGET = 0.03


def timed(owner: type, name: str, label: str) -> None:
    inner = getattr(owner, name)

    def outer(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            SPENT[label] += time.perf_counter() - started

    setattr(owner, name, outer)


def time_waiting() -> None:
    inner = Clock.read

    def read(clock: Clock) -> tuple[float, float]:
        SPENT["waiting for data"] += clock._wait
        return inner(clock)

    Clock.read = read  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--iterations", type=int, default=300)
    options = parser.parse_args()
    timed(Stepper, "_accumulate", "forward and backward")
    timed(Runtime, "update", "optimizer")
    timed(Stepper, "step", "step")
    timed(WeightAverage, "update", "average")
    timed(Trainer, "_log", "log lines")
    timed(Trainer, "_save", "saving")
    timed(Trainer, "run", "all")
    time_waiting()
    changes = {
        "train.total_iter": options.iterations,
        "val.val_enabled": "false",
        "logger.save_checkpoint_freq": 10 * options.iterations,
    }
    sets = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        code = train_command(["-opt", str(REPOSITORY / "options/2x_paragonsr2.yml"), *sets])
    if code:
        sys.exit(code)
    report()


def report() -> None:
    useful = SPENT["forward and backward"] + SPENT["optimizer"]
    total = SPENT["all"] - SPENT["saving"] - SPENT["waiting for data"]
    rows = {
        "forward, backward, optimizer": useful,
        "checks of the step": SPENT["step"] - useful,
        "average": SPENT["average"],
        "log lines": SPENT["log lines"],
        "all other": total - SPENT["step"] - SPENT["average"] - SPENT["log lines"],
    }
    print()
    for name, seconds in rows.items():
        print(f"{name:30}{seconds / total:8.2%}")
    print(f"bookkeeping: {1 - useful / total:.2%} of the step (target {TARGET:.0%})")


if __name__ == "__main__":
    main()
