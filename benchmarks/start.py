"""Seconds from torch's own import to the end of iteration 1 and of `--check`, and which packages a start loads.

    python benchmarks/start.py [--runs 5] [--images 400] [--against CHECKOUT] [--no-check]

Commands that compute nothing (`--help`, `--check` of a file with mistakes, `audit` of headers) are timed as a whole.

Starts options/2x_paragonsr2.yml, each time in a new process and folder; what was read before is remembered, as it is
for a user who starts a second time. `--images` takes as many generated pairs of 480 x 320 for training, and an eighth
of it for validation, instead of the demo photos, which are too few to show what checks of the files cost. With
`--against` the starts of another checkout alternate with those of this one, so that other load affects both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET_S, TARGET_RATIO, TARGET_COMMAND_S = 2.0, 1.2, 1.5
CODE = """
import sys, time
sys.path.insert(0, {repository!r})
import traiNNer  # before torch, as in train.py: it decides how threads wait
started = time.perf_counter()
import torch
torch_done, cpu_done = time.perf_counter(), time.process_time()
from traiNNer.cli.train import main as train_command
from traiNNer.engine.training import Training

first = Training.advance

def told():
    import json
    packages = sorted({{name.split(".")[0] for name in sys.modules}})
    spent = [torch_done - started, time.perf_counter() - torch_done, time.process_time() - cpu_done]
    figures = [*spent, packages]
    print("FIGURES " + json.dumps(figures), flush=True)

def timed(training, batches):
    first(training, batches)
    told()

if {check}:
    code = train_command(["-opt", {options!r}, "--check", *{sets!r}])
    told()
else:
    Training.advance = timed
    code = train_command(["-opt", {options!r}, *{sets!r}])
sys.exit(code)
"""
COMMANDS = {
    "--help": ["--help"],
    "--check of a file with mistakes": ["train", "--check", "-opt", "bad.yml"],
    "audit of headers": ["audit", "--gt", "datasets/demo/train/hr"],
}
MISTAKES = "name: x\nscal: 2\n"
Figures = tuple[float, float, float, list[str]]
SETS = ("train.total_iter=1", "val.val_enabled=false")
HEAVY = {"torchvision", "skimage", "scipy", "lpips", "tensorboard", "PIL", "matplotlib", "sympy", "pandas"}


def start(folder: Path, checkout: Path, check: bool, sets: list[str]) -> Figures:
    """Start once in a folder. Returns the seconds of torch's import, those after it, of the processor, and packages."""
    options = str(REPOSITORY / "options/2x_paragonsr2.yml")
    given = [part for text in (*sets, *(() if check else SETS)) for part in ("--set", text)]
    code = CODE.format(repository=str(checkout), options=options, check=check, sets=given)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the start failed:\n{done.stdout}{done.stderr}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES "))
    return tuple(json.loads(line.removeprefix("FIGURES ")))


def write_images(root: Path, count: int) -> list[str]:
    """Write generated pairs for training and validation. Returns the options that name them."""
    import cv2
    import numpy as np

    sets = []
    for part, images in (("train", count), ("val", max(1, count // 8))):
        for name in ("hr", "lr"):
            (root / part / name).mkdir(parents=True)
            sets.append(f"datasets.{part}.dataroot_{'gt' if name == 'hr' else 'lq'}={root / part / name}")
        random = np.random.default_rng(images)
        for number in range(images):
            coarse = random.integers(0, 256, (20, 30, 3), np.uint8)
            gt = cv2.resize(coarse, (480, 320), interpolation=cv2.INTER_CUBIC)
            gt = np.clip(gt + random.normal(0, 5, gt.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / part / "hr" / f"{number:05}.png"), gt)
            lq = cv2.resize(gt, (240, 160), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / part / "lr" / f"{number:05}.png"), lq)
    return sets


def measure(args: argparse.Namespace, place: Path, check: bool, sets: list[str]) -> dict[Path, list[Figures]]:
    """Return what `start` found in every run, by checkout; the run before them fills the caches."""
    checkouts = [REPOSITORY, *([args.against.resolve()] if args.against else [])]
    found: dict[Path, list[Figures]] = {checkout: [] for checkout in checkouts}
    demo = place / "datasets"  # filled by the first start
    demo.mkdir(exist_ok=True)
    for number in range(args.runs + 1):
        for index, checkout in enumerate(checkouts):
            folder = place / f"{'check' if check else 'start'}-{number}-{index}"
            folder.mkdir()
            (folder / "datasets").symlink_to(demo, target_is_directory=True)
            figures = start(folder, checkout, check, sets)
            if number:
                found[checkout].append(figures)
    return found


def report_commands(runs: int, place: Path) -> None:
    """Time whole commands that compute nothing, and print their medians; the first call of each fills the caches."""
    (place / "bad.yml").write_text(MISTAKES)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    for title, arguments in COMMANDS.items():
        seconds = []
        for _ in range(runs + 1):
            started = time.perf_counter()
            command = [sys.executable, "-m", "traiNNer", *arguments]
            done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
            seconds.append(time.perf_counter() - started)
            if "Traceback" in done.stderr:
                sys.exit(f"{title} failed:\n{done.stderr}")
        print(f"{title}: median {told(seconds[1:], ' s')}; target {TARGET_COMMAND_S:g} s")


def report(title: str, found: dict[Path, list[Figures]]) -> None:
    """Print the figures of this checkout, and of another one beside them.

    The ratio is that of the processor time: other load lengthens it less.
    """
    ours, *others = found.values()
    wall, cpu = [one[1] for one in ours], [one[2] for one in ours]
    print(
        f"from there to {title}: median {told(wall, ' s')}, of the processor {told(cpu, ' s')}; target {TARGET_S:g} s"
    )
    for theirs in others:
        before = [one[2] for one in theirs]
        ratios = [a / b for a, b in zip(cpu, before, strict=True)]
        print(f"  before: {told([one[1] for one in theirs], ' s')}, of the processor {told(before, ' s')};", end=" ")
        print(f"ratio {told(ratios)}, target {TARGET_RATIO:g}")


def told(values: list[float], unit: str = "") -> str:
    """Return the median of values with the lowest and the highest."""
    return f"{statistics.median(values):.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=0, help="generated pairs instead of the demo photos")
    parser.add_argument("--against", type=Path, help="another checkout to compare with")
    parser.add_argument("--no-check", action="store_true", help="leave out `--check`")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sets = write_images(place / "images", args.images) if args.images else []
        found = measure(args, place, False, sets)
        runs = found[REPOSITORY]
        print(f"import torch: median {statistics.median(one[0] for one in runs):.2f} s")
        report("iteration 1", found)
        print(f"heavy packages loaded by then: {', '.join(sorted(HEAVY & set(runs[-1][3]))) or 'none'}")
        report_commands(args.runs, place)
        if not args.no_check:
            report("the end of --check", measure(args, place, True, sets))


if __name__ == "__main__":
    main()
