"""Training runs in separate processes, with recorded results, so that an interrupted benchmark can continue."""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from threading import Lock
from typing import Any

import yaml
from safetensors.numpy import load_file

from traiNNer.errors import TrainingDiverged

REPOSITORY = Path(__file__).resolve().parents[2]
SIGNALLED = 128
SCORED = 3
"""Validations, the last ones, whose mean is the score of a run."""
COLLAPSE_DB = 1.0
FREE = ("micro_batch", "grad_skip")


@dataclass(frozen=True)
class Arm:
    """One way to train: a name, and a complete option tree except for the run's name, seed and folders."""

    name: str
    tree: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """The result of one run. Scores are PSNR in dB of the averaged weights on the test images, NaN if there is none.

    `curve` holds (iteration, score) of every validation, `decisions` the automations' records, `weights` is a hash of
    the last live weights. `lost` are iterations that were lost to rollbacks, or run below the rate of the file.
    `seconds` is wall time, `cpu_s` the time of the processor.
    """

    arm: str
    seed: int
    key: str
    exit_code: int
    iterations: int
    seconds: float
    cpu_s: float
    weights: str
    lost: int
    curve: list[tuple[int, float]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def score(self) -> float:
        """The mean of the last validations; not a number for a run that failed.

        A run that was stopped leaves its best weights behind: the mean of the validations around the best, as the
        highest one alone would be flattered by its noise.
        """
        if self.exit_code or not self.curve:
            return math.nan
        places = [at for at, _ in self.curve]
        end = places.index(self.best_at) + 2 if self.stops and self.best_at else len(places)
        return fmean(score for _, score in self.curve[max(0, min(end, len(places)) - SCORED) : end])

    @property
    def best(self) -> float:
        """The best of all validations."""
        return max((score for _, score in self.curve if not math.isnan(score)), default=math.nan)

    @property
    def best_at(self) -> int:
        """The iteration of the best validation; 0 if there is none."""
        return max(((score, at) for at, score in self.curve if not math.isnan(score)), default=(0.0, 0))[1]

    @property
    def survived(self) -> bool:
        """Whether the run ended with a score that is not far below an earlier one."""
        return self.exit_code == 0 and self.score > self.best - COLLAPSE_DB

    @property
    def stops(self) -> int:
        """How often an automation ended it."""
        return sum(one.get("action") == "stop" for one in self.decisions)

    @property
    def false_alarms(self) -> int:
        """Rollbacks, reductions of the learning rate and stops: what a healthy run is to be without."""
        cuts = sum(one["knob"] == "lr_factor" and one["new"] < one["old"] for one in self.decisions)
        return cuts + self.stops + sum(one.get("action") == "rollback" for one in self.decisions)

    @property
    def moves(self) -> int:
        """Moves and actions that may change what is trained: all but how a batch is split and what is skipped."""
        return sum(one["knob"] not in FREE for one in self.decisions)


class Runs:
    """Starts runs, `jobs` at a time, below a folder whose `results.jsonl` records the finished ones.

    A recorded result is reused only for the same options, seed and code.
    """

    def __init__(self, place: Path, jobs: int = 1, say: Callable[[str], None] = print) -> None:
        self.place, self.jobs, self.say = place, jobs, say
        self.record = place / "results.jsonl"
        self.code = _code_hash()
        self.lock = Lock()
        self.known = {result.key: result for result in _read(self.record)}

    def measure(self, wanted: Sequence[tuple[Arm, int]]) -> dict[tuple[str, int], Result]:
        """Return the result of every (arm, seed), in the order given for those that have to be run."""
        missing = [(arm, seed) for arm, seed in _unique(wanted) if self.key(arm, seed) not in self.known]
        self.say(f"{len(missing)} runs to do, {len(_unique(wanted)) - len(missing)} known, in {self.place}")
        pool = ThreadPoolExecutor(self.jobs)
        try:
            for number, result in enumerate(pool.map(lambda run: self.run_arm(*run), missing), 1):
                self.say(f"{number}/{len(missing)} {describe(result)}")
        finally:
            pool.shutdown(cancel_futures=True)
        return {(arm.name, seed): self.known[self.key(arm, seed)] for arm, seed in wanted}

    def find(self, arm: Arm, seed: int) -> Result | None:
        """Return the result of a run that is finished, else None."""
        return self.known.get(self.key(arm, seed))

    def key(self, arm: Arm, seed: int) -> str:
        """Return a hash of everything that affects a result."""
        text = json.dumps([arm.tree, seed, self.code], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def run_arm(self, arm: Arm, seed: int) -> Result:
        """Train once with train.py, from a new folder. A run that fails is a result, too."""
        name = f"{arm.name}-{seed}"
        folder = self.place / "experiments" / name
        shutil.rmtree(folder, ignore_errors=True)
        options = self.place / "options" / f"{name}.yml"
        options.parent.mkdir(parents=True, exist_ok=True)
        own = {"name": name, "manual_seed": seed, "path": {"experiments_root": str(self.place / "experiments")}}
        options.write_text(yaml.safe_dump({**own, **arm.tree}, sort_keys=False))
        started = time.perf_counter()
        code, cpu_s = self._train(options)
        result = _collect(arm, seed, self.key(arm, seed), folder, code, time.perf_counter() - started, cpu_s)
        self._note(result)
        shutil.rmtree(folder / "training_states", ignore_errors=True)
        return result

    def _train(self, options: Path) -> tuple[int, float]:
        """Return the exit code and the seconds of the processor."""
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // self.jobs))
        output = options.with_suffix(".txt")
        with output.open("w") as screen:
            process = subprocess.Popen(
                [sys.executable, str(REPOSITORY / "train.py"), "-opt", str(options)],
                cwd=self.place,
                env={**os.environ, "OMP_NUM_THREADS": threads},
                stdout=screen,
                stderr=subprocess.STDOUT,
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = code = os.waitstatus_to_exitcode(status)
        if code < 0 or code >= SIGNALLED:
            raise KeyboardInterrupt  # interrupted by the user: not a result
        if code not in (0, TrainingDiverged.exit_code):
            raise SystemExit(f"{options}: train.py ended with {code}:\n{output.read_text()[-3000:]}")
        return code, used.ru_utime + used.ru_stime

    def _note(self, result: Result) -> None:
        with self.lock, self.record.open("a") as record:
            self.known[result.key] = result
            record.write(json.dumps(asdict(result)) + "\n")


def _unique(wanted: Sequence[tuple[Arm, int]]) -> list[tuple[Arm, int]]:
    return list({(arm.name, seed): (arm, seed) for arm, seed in wanted}.values())


def describe(result: Result) -> str:
    """Return a progress line."""
    acted = f", {result.moves} moves, {result.false_alarms} alarms" if result.decisions else ""
    ended = "" if result.exit_code == 0 else f", exit code {result.exit_code}"
    return (
        f"{result.arm} seed {result.seed}: {result.score:.2f} dB (best {result.best:.2f}) after "
        f"{result.iterations} iterations, {result.seconds:.0f} s, {result.cpu_s:.0f} s of the processor{acted}{ended}"
    )


def _collect(arm: Arm, seed: int, key: str, folder: Path, code: int, seconds: float, cpu_s: float) -> Result:
    events = _lines(folder / "metrics.jsonl")
    title = f"val/{arm.tree['datasets']['val']['name']}/psnr"
    curve = [(event["iter"], math.nan if event[title] is None else event[title]) for event in events if title in event]
    done = max((event["iter"] for event in events), default=0)
    price = [event for event in events if event["event"] == "automations"]
    lost = price[-1]["iterations"] if price else 0
    live = folder / f"models/net_g_{done}.safetensors"
    weights = _weights_hash(live) if live.exists() else ""
    decisions = _lines(folder / "decisions.jsonl")
    return Result(arm.name, seed, key, code, done, seconds, cpu_s, weights, lost, curve, decisions)


def _weights_hash(path: Path) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        digest.update(name.encode() + tensor.tobytes())
    return digest.hexdigest()[:16]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _read(path: Path) -> Iterable[Result]:
    names = {one.name for one in fields(Result)}
    for line in _lines(path):
        if line.keys() != names:  # of an older form of the benchmark
            continue
        yield Result(**{**line, "curve": [tuple(point) for point in line["curve"]]})


def _code_hash() -> str:
    digest = hashlib.sha256()
    own = Path(__file__).parent / "plugins"
    for path in sorted([*(REPOSITORY / "traiNNer").rglob("*.py"), *own.glob("*.py"), REPOSITORY / "train.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
