"""What each part of the recipe for a time budget is worth: every arm trains for the same time, with one part changed.

    python -m benchmarks.recipe --data DIR --test DIR [--seconds 60] [--seeds 3] [--jobs 1] [--work DIR] [--only ARM …]
        [--arch NAME]

The first arm is the file that `trainner init --budget` writes for the photos of --data, as it is. The others change one
part of it; with --arch, which names the network, those that would take another one are left out. All end by the clock
after the same time, so nothing else should run. Scores are PSNR on luma in dB of the averaged weights, on the images
that are held out and on --test. Arms of one seed run one after the other, or --jobs at a time, which then share the
processor's threads; finished runs are kept in --work, and the same command continues where it was interrupted.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from benchmarks.zero_config import REPOSITORY, environment
from traiNNer.zero_config.create import create_zero_config_training

Tree = dict[str, Any]
STEPS = 16.0
"""Iterations a second that shares of a run are turned into iterations with."""
BASE = "as written"


def arms(seconds: float) -> dict[str, Tree]:
    """Return what each arm changes in the file; None removes a key."""
    total = round(STEPS * seconds)
    growth = [{"lq_size": 16, "until": round(0.55 * total)}, {"lq_size": 24, "until": round(0.8 * total)}]
    luma = {"type": "MSELoss", "luma": True, "loss_weight": 10.0, "start_iter": round(0.85 * total)}
    nano: Tree = {"type": "paragonsr2_nano", "num_feat": None, "num_conv": None}
    adam: Tree = {"type": "AdamW", "lr": 2e-3, "momentum": None, "weight_decay": 0.0}
    return {
        BASE: {},
        "AdamW 2e-3": {"train": {"optim_g": adam}},
        "paragonsr2_nano": {"network_g": nano},
        "24 channels": {"network_g": {"num_feat": 24}},
        "learning rate 3.5e-3": {"train": {"optim_g": {"lr": 3.5e-3}}},
        "learning rate 7e-3": {"train": {"optim_g": {"lr": 7e-3}}},
        "momentum 0.95": {"train": {"optim_g": {"momentum": 0.95}}},
        "EMA of 0.999": {"train": {"ema_decay": 0.999}},
        "decay in the last 30 %": {"train": {"decay_share": 0.3}},
        "4 crops a step": {"datasets": {"train": {"batch_size_per_gpu": 4}}},
        "crops of 24": {"datasets": {"train": {"lq_size": 24}}},
        "crops of 48": {"datasets": {"train": {"lq_size": 48}}},
        "crops 16, 24, 48": {"datasets": {"train": {"lq_size": 48, "crop_growth": growth}}},
        "harder of 2 crops": {"datasets": {"train": {"candidates": 2, "candidates_until": round(0.85 * total)}}},
        "luma MSE at the end": {
            "train": {"losses": [{"type": "L1Loss", "stop_iter": round(0.85 * total)}, luma]},
        },
        "no automations": {"train": {"training_automations": {"enabled": False}}},
    }


def merged(tree: Mapping[str, Any], change: Mapping[str, Any]) -> Tree:
    """Return a tree with a change merged in deeply; None removes a key."""
    result = dict(tree)
    for key, value in change.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(value, Mapping) and isinstance(old, Mapping) else value
    return {key: value for key, value in result.items() if value is not None}


def base_tree(args: argparse.Namespace) -> Tree:
    """Return the file of the first arm; both sets are scored, once at the end."""
    tree = create_zero_config_training(args.arch, args.data.resolve(), budget=f"{args.seconds + 120}s")
    test = {"name": "test", "type": "SingleGTDataset", "dataroot_gt": str(args.test.resolve())}
    own = {
        "datasets": {"val_test": test},
        "train": {"end_at": f"{args.seconds}s"},
        "val": {"val_freq": 10**6, "metrics": {"psnr": {}}},
        "logger": {"save_checkpoint_freq": 10**6, "use_tb_logger": False},
        "path": {"experiments_root": str(args.work / "experiments")},
    }
    return merged(tree, own)


def train(args: argparse.Namespace, base: Tree, arm: str, change: Tree, seed: int) -> Tree:
    """Train one run. Returns its iterations, and its scores by the name of the set."""
    name = "".join(letter if letter.isalnum() else "_" for letter in f"{arm}_{seed}")
    tree = merged(base, change) | {"name": name, "manual_seed": seed}
    (args.work / f"{name}.yml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    command = [sys.executable, str(REPOSITORY / "train.py"), "-opt", f"{name}.yml", "--overwrite"]
    threads = {} if args.jobs == 1 else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // args.jobs))}
    subprocess.run(command, cwd=args.work, env=environment() | threads, check=True, stdout=subprocess.DEVNULL)
    lines = (args.work / "experiments" / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = [event for event in map(json.loads, lines) if event["event"] == "validation"][-1]
    scores = {key.split("/")[1]: value for key, value in last.items() if key.endswith("/psnr")}
    return {"arm": arm, "seed": seed, "iterations": last["iter"], "scores": scores}


def table(results: Sequence[Tree]) -> str:
    """Return a row for every arm: its scores, and how much they are above those of the first arm, seed by seed."""
    by_arm: dict[str, dict[int, Tree]] = {}
    for one in results:
        by_arm.setdefault(one["arm"], {})[one["seed"]] = one
    base = by_arm[BASE]
    rows = ["| arm | iterations | held out | test | held out, paired | test, paired |", "|---|---|---|---|---|---|"]
    for arm, runs in by_arm.items():
        names = list(next(iter(runs.values()))["scores"])
        means = [statistics.fmean(run["scores"][name] for run in runs.values()) for name in names]
        paired = [
            interval([run["scores"][name] - base[seed]["scores"][name] for seed, run in runs.items() if seed in base])
            for name in names
        ]
        count = statistics.median(run["iterations"] for run in runs.values())
        cells = [arm, f"{count:,.0f}", *(f"{mean:.2f}" for mean in means), *("" if arm == BASE else p for p in paired)]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def interval(differences: Sequence[float]) -> str:
    """Return a mean difference with twice its standard error."""
    if len(differences) < 2:
        return f"{statistics.fmean(differences):+.2f}" if differences else ""
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{statistics.fmean(differences):+.2f} ± {2 * error:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sharp photos to train on")
    parser.add_argument("--test", type=Path, required=True, help="folder of sharp photos to score with")
    parser.add_argument("--seconds", type=int, default=60, help="time of one run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of every arm")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--work", type=Path, default=Path("benchmark-recipe"), help="folder for runs and results")
    parser.add_argument("--arch", help="the network of all arms; the budget chooses without it")
    parser.add_argument("--only", nargs="+", metavar="ARM", help="arms to run besides the first")
    args = parser.parse_args()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    record = args.work / "results.jsonl"
    results = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    known = {arm: change for arm, change in arms(args.seconds).items() if not args.arch or "network_g" not in change}
    wanted = {arm: change for arm, change in known.items() if arm in (BASE, *(args.only or known))}
    base = base_tree(args)
    done = {(one["arm"], one["seed"]) for one in results}
    missing = [(arm, seed) for seed in range(args.seeds) for arm in wanted if (arm, seed) not in done]
    pool = ThreadPoolExecutor(args.jobs)
    try:
        for result in pool.map(lambda run: train(args, base, run[0], wanted[run[0]], run[1]), missing):
            results.append(result)
            with record.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
