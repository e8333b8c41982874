"""Runs that the clock ends, on a machine that becomes up to four times slower at random times.

    python -m benchmarks.clock [--data DIR] [--test DIR] [--work DIR] [--runs 20] [--seconds 600]

The time is simulated, one second an iteration of the undisturbed machine; the training is real. Each run is repeated
with the schedule that is known only in hindsight: as many iterations, the rate constant for 70 % of them and then along
a line to zero. Reported are how far the end was from the time given, and how many dB the clock's plan lost.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.automations.photos import Photos, prepare
from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import node_of
from traiNNer.engine.ending import Ending, Plan
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.engine.training import Training
from traiNNer.models.protocol import MAIN
from traiNNer.optim.schedules import Schedule
from traiNNer.run.assemble import assemble_training
from traiNNer.run.build import build_ending, build_evaluations, build_loader, build_networks, open_dataset

START_S, VALIDATION_S, SAVE_S = 5.0, 4.0, 0.5
"""What starting, a validation and a checkpoint take on the undisturbed machine."""
JITTER = 0.05
"""How much longer an iteration takes now and then, as a share."""


class Machine:
    """A clock of simulated seconds, and one to three times at which everything takes up to four times as long."""

    def __init__(self, seed: int, seconds: float) -> None:
        self.now = 0.0
        self._random = random.Random(seed)
        starts = [self._random.uniform(0, seconds) for _ in range(self._random.randint(1, 3))]
        self.slow = [
            (start, start + self._random.uniform(0.02, 0.5) * seconds, self._random.uniform(1, 4)) for start in starts
        ]

    def work(self, seconds: float) -> None:
        """Let the time pass that something takes, given in seconds of the undisturbed machine."""
        factor = max([1.0] + [slow for start, end, slow in self.slow if start <= self.now < end])
        self.now += seconds * factor * (1 + JITTER * abs(self._random.gauss(0, 1)))


@dataclass(frozen=True)
class Result:
    """One run: how far its end was from the time given as a share, its iterations and plans, and both scores in dB."""

    seed: int
    off: float
    iterations: int
    plans: int
    clock: float
    hindsight: float


class Trials:
    """Trains runs of one option tree."""

    def __init__(self, photos: Photos, seconds: float) -> None:
        self.photos, self.seconds = photos, seconds

    def options(self, seed: int) -> TrainOptions:
        """Return the options of a run."""
        return check_tree(node_of(tree(self.photos, self.seconds, seed)), TrainOptions, "the simulated run").options

    def run(self, seed: int) -> Result:
        """Train by the clock, then again with the schedule known in hindsight."""
        options, machine = self.options(seed), Machine(seed, self.seconds)
        runtime, _ = start_runtime(options)
        ending = build_ending(options, runtime, lambda: machine.now)
        assert ending is not None
        machine.work(START_S)
        score = self._train(options, runtime, ending, lambda done: _is_over(options, ending, machine, done))
        total = ending.end or 0
        known = Plan(0, 1.0, round((1 - options.train.decay_share) * total), total)
        hindsight = self._train(options, runtime, known, lambda done: done >= total)
        return Result(seed, machine.now / self.seconds - 1, total, len(ending.plans), score, hindsight)

    def _train(
        self, options: TrainOptions, runtime: Runtime, factor: Schedule, is_over: Callable[[int], bool]
    ) -> float:
        runtime.rng.seed(options.manual_seed)
        book = Logbook(quiet=True)
        sets = {key: open_dataset(options, key, book) for key in options.datasets}
        networks = build_networks(options)
        training = assemble_training(options, runtime, networks, sets["train"], book, ending=factor)
        loader = build_loader(options, sets["train"], runtime, training.plan)
        for batches in loader:
            training.advance(batches)
            if is_over(training.iteration):
                break
        loader.close()
        return _score(options, sets, training)


def _is_over(options: TrainOptions, ending: Ending, machine: Machine, done: int) -> bool:
    """Let an iteration and what is due after it take their time, as the training loop does."""
    machine.work(1.0)
    ending.look(done)
    is_last = ending.end is not None and done >= ending.end
    duties = (
        ("validation", options.val.val_freq, VALIDATION_S),
        ("save", options.logger.save_checkpoint_freq, SAVE_S),
    )
    for duty, every, seconds in duties:
        if is_last or done % every == 0:
            with ending.aside(duty):
                machine.work(seconds)
    return is_last


def _score(options: TrainOptions, sets: dict[str, Any], training: Training) -> float:
    network = training.learners[MAIN].shipped
    with evaluating(network):
        evaluation = build_evaluations(options, sets, training.runtime)[0]
        return evaluation.run(training.runtime.upscaler(network)).mean()["psnr"]


def tree(photos: Photos, seconds: float, seed: int) -> dict[str, Any]:
    """Return the option tree of a run: a small Compact under Muon, with an average over about 20 iterations."""
    pairs = {"type": "PairedImageDataset", "num_worker_per_gpu": 0}
    train = {"dataroot_gt": str(photos.train.gt), "dataroot_lq": str(photos.train.lq)}
    val = {"dataroot_gt": str(photos.test.gt), "dataroot_lq": str(photos.test.lq)}
    return {
        "name": "clock",
        "scale": 2,
        "num_gpu": 0,
        "manual_seed": seed,
        "datasets": {"train": pairs | train | {"lq_size": 16, "batch_size_per_gpu": 8}, "val": pairs | val},
        "network_g": {"type": "compact", "num_feat": 16, "num_conv": 4},
        "train": {
            "end_at": f"{seconds:g}s",
            "warmup_iter": 20,
            "optim_g": {"type": "muon", "lr": 5e-3},
            "losses": [{"type": "L1Loss"}],
            "ema_decay": 0.95,
        },
        "val": {"val_freq": max(1, round(seconds / 8)), "metrics": {"psnr": {"crop_border": 2}}},
        "logger": {"save_checkpoint_freq": max(1, round(seconds / 3)), "use_tb_logger": False},
    }


def table(results: list[Result]) -> str:
    """Return the rows of the published table, each with its 95 % interval where it is a mean."""
    lost = [result.hindsight - result.clock for result in results]
    offs = [abs(result.off) for result in results]
    half = 1.96 * statistics.stdev(lost) / math.sqrt(len(lost)) if len(lost) > 1 else math.nan
    counts = [result.iterations for result in results]
    rows = [
        ("runs; iterations", f"{len(results)}; {min(counts)} to {max(counts)}", ""),
        ("end beside the time given: mean, worst", f"{statistics.mean(offs):.2%}, {max(offs):.2%}", "2 %"),
        ("lost to the schedule known in hindsight", f"{statistics.mean(lost):+.3f} +- {half:.3f} dB", "0.05 dB"),
        ("lost in the worst run", f"{max(lost):+.3f} dB", ""),
        (
            "plans in a run: mean, most",
            f"{statistics.mean(r.plans for r in results):.0f}, {max(result.plans for result in results)}",
            "",
        ),
    ]
    head = "| figure | measured | target |\n|---|---|---|"
    return "\n".join([head, *(f"| {name} | {value} | {target} |" for name, value, target in rows)])


def main() -> None:
    """Run what is not in the work folder yet, and print the table."""
    parser = argparse.ArgumentParser("benchmarks.clock", description="Runs that the clock ends, simulated.")
    parser.add_argument("--data", type=Path, help="folder of photos to train on; the demo photos by default")
    parser.add_argument("--test", type=Path, help="folder of photos to score with; the demo photos by default")
    parser.add_argument("--work", type=Path, default=Path("clock"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600.0)
    args = parser.parse_args()
    trials = Trials(prepare(args.data, args.test, args.work), args.seconds)
    record = args.work / f"results_{args.seconds:g}.jsonl"
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    results = [Result(**json.loads(line)) for line in lines]
    for seed in range(len(results), args.runs):
        results.append(trials.run(seed))
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(results[-1])) + "\n")
        print(results[-1], flush=True)
    print(table(results[: args.runs]))


if __name__ == "__main__":
    main()
