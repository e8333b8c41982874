"""Seconds from torch's own import to the end of iteration 1, and which packages a start loads.

    python benchmarks/start.py [--runs 5]

Starts options/2x_paragonsr2.yml for one iteration, each time in a new process and folder.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET_S = 6.0
CODE = """
import sys, time
sys.path.insert(0, {repository!r})
import traiNNer  # before torch, as in train.py: it decides how threads wait
started = time.perf_counter()
import torch
torch_done = time.perf_counter()
from traiNNer.cli.train import main as train_command
from traiNNer.engine.training import Training

first = Training.advance

def timed(training, batches):
    first(training, batches)
    import json
    packages = sorted({{name.split(".")[0] for name in sys.modules}})
    figures = [torch_done - started, time.perf_counter() - torch_done, packages]
    print("FIGURES " + json.dumps(figures), flush=True)

Training.advance = timed
sys.exit(train_command(["-opt", {options!r}, "--set", "train.total_iter=1", "--set", "val.val_enabled=false"]))
"""
HEAVY = {"torchvision", "skimage", "scipy", "lpips", "tensorboard", "PIL", "matplotlib", "sympy", "pandas"}


def start(folder: str) -> tuple[float, float, list[str]]:
    options = str(REPOSITORY / "options/2x_paragonsr2.yml")
    code = CODE.format(repository=str(REPOSITORY), options=options)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES "))
    return tuple(json.loads(line.removeprefix("FIGURES ")))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    torch_s, ours_s, packages = [], [], []
    with tempfile.TemporaryDirectory() as demo:
        for number in range(runs + 1):  # the first run makes the demo set and fills the caches
            folder = Path(demo) / str(number)
            folder.mkdir()
            if number:
                (folder / "datasets").symlink_to(Path(demo) / "0/datasets")
            import_s, rest_s, packages = start(str(folder))
            if number:
                torch_s.append(import_s)
                ours_s.append(rest_s)
    print(f"import torch: median {statistics.median(torch_s):.2f} s")
    low, high = min(ours_s), max(ours_s)
    median = statistics.median(ours_s)
    print(f"from there to iteration 1: median {median:.2f} s ({low:.2f} to {high:.2f}; target {TARGET_S:g} s)")
    print(f"heavy packages loaded by then: {', '.join(sorted(HEAVY & set(packages))) or 'none'}")


if __name__ == "__main__":
    main()
