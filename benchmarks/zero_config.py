"""`trainner init --budget` plus one `train.py`, against the same time with fixed defaults.

    python -m benchmarks.zero_config --data DIR --test DIR [--budget 10m] [--arch NAME] [--work DIR] [--only zero|fixed]

Both train on the photos of --data alone, with the same images held out, on this machine, one after the other; nothing
else should run. The fixed defaults are commonly copied values: batch 8, crops of 64, learning rate 2e-4 without a
schedule, no EMA; they are stopped when the budget is over. Both are scored by test.py on --test, LR made by our
bicubic: PSNR on luma in dB.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from traiNNer.zero_config.plan import duration, seconds_of

REPOSITORY = Path(__file__).parents[1]
TARGET_DB = 2.9


@dataclass(frozen=True)
class Score:
    """A finished arm: seconds from the first command to the end, iterations, PSNR and that of bicubic in dB."""

    title: str
    seconds: float
    iterations: int
    psnr: float
    bicubic: float

    def row(self) -> str:
        """Return a table row."""
        gain = self.psnr - self.bicubic
        return f"| {self.title} | {self.seconds:.0f} s | {self.iterations:,} | {self.psnr:.2f} | {gain:+.2f} |"


def zero_arm(args: argparse.Namespace, budget_s: float) -> Score:
    started = time.perf_counter()
    command = ["init", "--gt", str(args.data.resolve()), "--budget", args.budget, "--fresh", "--overwrite"]
    command += ["--arch", args.arch] if args.arch else []
    call("-m", "traiNNer", *command, "-o", "zero.yml", folder=args.work)
    measured = time.perf_counter() - started
    options = yaml.safe_load((args.work / "zero.yml").read_text(encoding="utf-8"))
    call(REPOSITORY / "train.py", "-opt", "zero.yml", "--overwrite", folder=args.work)
    seconds = time.perf_counter() - started
    print(
        f"measuring {measured:.0f} s, all {seconds:.0f} s of {budget_s:.0f} s: {seconds / budget_s - 1:+.1%}\n",
        flush=True,
    )
    best = args.work / "experiments" / options["name"] / "models" / "net_g_best_psnr.safetensors"
    psnr, bicubic = test(args, options, best, "zero")
    lines = (args.work / "experiments" / options["name"] / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    iterations = max(event["iter"] for event in map(json.loads, lines) if event["event"] == "validation")
    return Score(f"`trainner init --budget {args.budget}`", seconds, iterations, psnr, bicubic)


def fixed_arm(args: argparse.Namespace, budget_s: float) -> Score:
    data: dict[str, Any] = {"type": "SingleGTDataset", "dataroot_gt": str(args.data.resolve())}
    options = {
        "name": "fixed",
        "scale": 2,
        "datasets": {
            "train": data | {"split": "train", "lq_size": 64, "batch_size_per_gpu": 8, "num_worker_per_gpu": 0},
            "val": data | {"split": "val"},
        },
        "network_g": {"type": "paragonsr2_nano"},
        "train": {
            "total_iter": 1_000_000,
            "ema_decay": 0,
            "optim_g": {"type": "AdamW", "lr": 2e-4},
            "losses": [{"type": "L1Loss"}],
        },
        "val": {"metrics": {"psnr": {}}},
    }
    (args.work / "fixed.yml").write_text(yaml.safe_dump(options), encoding="utf-8")
    started = time.perf_counter()
    command = [sys.executable, str(REPOSITORY / "train.py"), "-opt", "fixed.yml", "--overwrite"]
    process = subprocess.Popen(command, cwd=args.work, env=environment())
    try:
        process.wait(budget_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
    seconds = time.perf_counter() - started
    states = (args.work / "experiments/fixed/training_states").glob("*.json")
    last = max(int(state.stem) for state in states if state.stem.isdecimal())
    psnr, bicubic = test(args, options, args.work / f"experiments/fixed/models/net_g_{last}.safetensors", "fixed")
    return Score("batch 8, crop 64, learning rate 2e-4, no EMA", seconds, last, psnr, bicubic)


def test(args: argparse.Namespace, options: dict[str, Any], weights: Path, name: str) -> tuple[float, float]:
    """Return PSNR and bicubic's, as test.py computes them."""
    file = {
        "name": name,
        "scale": options["scale"],
        "datasets": {"test": {"type": "SingleGTDataset", "dataroot_gt": str(args.test.resolve())}},
        "network_g": options["network_g"],
        "path": {"pretrain_network_g": str(weights)},
        "val": {"metrics": {"psnr": {}, "ssim": {}}},
    }
    (args.work / f"test_{name}.yml").write_text(yaml.safe_dump(file), encoding="utf-8")
    call(REPOSITORY / "test.py", "-opt", f"test_{name}.yml", folder=args.work)
    mean = json.loads((args.work / "results" / name / "metrics.json").read_text())["test"]["mean"]
    return mean["psnr"], mean["psnr_bicubic"]


def call(*arguments: str | Path, folder: Path) -> None:
    print("+", *arguments, flush=True)
    subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=environment(), check=True)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sharp photos to train on")
    parser.add_argument("--test", type=Path, required=True, help="folder of sharp photos to score with")
    parser.add_argument("--budget", default="10m", help="time for everything")
    parser.add_argument("--arch", help="network of the zero-config run (default: what the budget chooses)")
    parser.add_argument("--work", type=Path, default=Path("benchmark-zero-config"), help="folder for runs and results")
    parser.add_argument("--only", choices=("zero", "fixed"), help="one of the two")
    args = parser.parse_args()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    budget_s = seconds_of(args.budget)
    arms = [arm for name, arm in (("zero", zero_arm), ("fixed", fixed_arm)) if args.only in (None, name)]
    scores = [arm(args, budget_s) for arm in arms]
    print(f"\n{duration(budget_s)} each; bicubic {scores[0].bicubic:.2f} dB\n")
    print("| | time | iterations | PSNR-Y | above bicubic |\n|---|---|---|---|---|")
    print("\n".join(score.row() for score in scores))
    gain = scores[0].psnr - scores[0].bicubic
    if args.only is None and not (gain >= TARGET_DB and scores[0].psnr > scores[1].psnr):
        sys.exit(f"target missed: {TARGET_DB} dB above bicubic and better than the fixed defaults")


if __name__ == "__main__":
    main()
