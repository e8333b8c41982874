"""Bitwise digests of three short training runs, to detect whether a code change affects training.

    python -m benchmarks.frozen_runs -o before.json                      # in one checkout
    python -m benchmarks.frozen_runs -o after.json --against before.json  # in another, same machine and packages

The runs are a plain restoration, one with every automation, and one on two ranks. For each, the digests of all
weights, the training record, and the scores of every validation are written; the exit code is 1 if any of them
differs. Bitwise equality holds only for equal processors, threads and packages, so no digest is kept in the project.
"""

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
TIMED = ("it_per_s", "data_wait", "seconds", "time")


def write_pairs(root: Path, count: int, seed: int) -> None:
    """Write smooth random images `hr/*.png`, 96 x 80, and their halves `lr/*.png`."""
    import cv2

    rng = np.random.default_rng(seed)
    for name in ("hr", "lr"):
        (root / name).mkdir(parents=True)
    for index in range(count):
        gt = cv2.resize(rng.integers(0, 256, (12, 10, 3), np.uint8), (80, 96), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / "hr" / f"{index:03}.png"), gt)
        cv2.imwrite(str(root / "lr" / f"{index:03}.png"), cv2.resize(gt, (40, 48), interpolation=cv2.INTER_AREA))


def options(iterations: int) -> dict[str, Any]:
    """Return the options that the three runs share."""
    data = {"type": "PairedImageDataset", "num_worker_per_gpu": 2}
    train = {
        "dataroot_gt": "data/hr",
        "dataroot_lq": "data/lr",
        "lq_size": 16,
        "batch_size_per_gpu": 4,
        "accum_iter": 2,
    }
    return {
        "name": "run",
        "scale": 2,
        "num_gpu": 0,
        "manual_seed": 7,
        "datasets": {"train": data | train, "val": data | {"dataroot_gt": "val/hr", "dataroot_lq": "val/lr"}},
        "network_g": {"type": "paragonsr2_nano"},
        "train": {
            "total_iter": iterations,
            "warmup_iter": 5,
            "grad_clip": True,
            "optim_g": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingLR", "T_max": iterations, "eta_min": 1e-6},
            "losses": [{"type": "L1Loss"}, {"type": "MSSIMLoss", "loss_weight": 0.1}],
        },
        "val": {"val_freq": iterations // 4, "metrics": {"psnr": {}, "ssim": {}}},
        "logger": {"print_freq": 5, "save_checkpoint_freq": iterations // 2, "use_tb_logger": False},
    }


def with_automations(tree: dict[str, Any]) -> dict[str, Any]:
    """Enable every automation, impatient enough to act within a few hundred iterations."""
    tree["train"] |= {
        "scheduler": None,
        "optim_g": {"type": "AdamW", "lr": 8e-3},
        "dynamic_loss_scheduling": {"enabled": True},
        "training_automations": {
            "enabled": True,
            "IntelligentLearningRateScheduler": {"enabled": True, "plateau_patience": 60},
            "DynamicBatchSizeOptimizer": {"enabled": True},
            "AdaptiveGradientClipping": {"enabled": True, "monitoring_frequency": 10},
            "IntelligentEarlyStopping": {"enabled": True, "patience": 100, "min_iterations": 100, "min_epochs": 1},
        },
    }
    return tree


def train(folder: Path, *arguments: str, ranks: int = 1) -> None:
    """Run train.py of this checkout in a folder. Raises `RuntimeError` with its output when it fails."""
    common = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    if ranks > 1:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
        common |= {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(CHECKOUT / "train.py"), "-opt", "options.yml", *arguments]
    place = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [
        subprocess.Popen(command, env=common | ({"RANK": str(r), "LOCAL_RANK": str(r)} if ranks > 1 else {}), **place)
        for r in range(ranks)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("\n".join(outputs))


def digest(folder: Path) -> dict[str, str]:
    """Return the digest of every weights file's tensors, and of the record of losses, norms and scores."""
    from safetensors.torch import load_file

    run = folder / "experiments" / "run"
    found = {}
    for path in sorted((run / "models").glob("*.safetensors")):
        sha = hashlib.sha256()
        for name, tensor in sorted(load_file(path).items()):
            sha.update(name.encode() + tensor.contiguous().numpy().tobytes())
        found[path.name] = sha.hexdigest()
    for event in ("train", "validation"):
        sha = hashlib.sha256()
        for line in (run / "metrics.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == event:
                numbers = {k: v for k, v in entry.items() if isinstance(v, float | int) and k not in TIMED}
                sha.update(json.dumps(sorted(numbers.items())).encode())
        found[event] = sha.hexdigest()
    return found


def run_all(iterations: int) -> dict[str, dict[str, str]]:
    """Train the three runs; the first is stopped halfway and resumed, to cover resuming."""
    results = {}
    for name in ("restoration", "automations", "two ranks"):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_pairs(folder / "data", 6, seed=0)
            write_pairs(folder / "val", 2, seed=99)
            length = {"restoration": iterations, "automations": 4 * iterations, "two ranks": iterations}[name]
            tree = options(length)
            tree = with_automations(tree) if name == "automations" else tree
            (folder / "options.yml").write_text(yaml.safe_dump(tree | {"dist": name == "two ranks"}, sort_keys=False))
            train(folder, ranks=2 if name == "two ranks" else 1)
            if name == "restoration":
                (folder / "experiments/run/training_states" / f"{length}.json").unlink()
                train(folder, "--auto_resume")
            results[name] = digest(folder)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run, write the digests, compare. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the digests")
    parser.add_argument("--against", type=Path, help="digests of another checkout to compare with")
    parser.add_argument("--iterations", type=int, default=80, help="iterations of the plain run (automations: 4 times)")
    args = parser.parse_args(arguments)
    results = run_all(args.iterations)
    args.output.write_text(json.dumps(results, indent=1) + "\n")
    if args.against is None:
        return 0
    before = json.loads(args.against.read_text())
    differing = [
        f"{name}: {key}"
        for name in results
        for key in sorted({*results[name], *before.get(name, {})})
        if results[name].get(key) != before.get(name, {}).get(key)
    ]
    count = sum(len(found) for found in results.values())
    sys.stdout.write("\n".join(f"differs: {text}" for text in differing) + "\n" if differing else f"{count} equal\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
