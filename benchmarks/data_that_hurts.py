"""Plants shifted and swapped pairs among clean photos, trains, and counts what the end of the run lists.

    python -m benchmarks.data_that_hurts --data DIR [--runs 4] [--iterations 600] [--photos 400] [--work DIR]

Each run is one of train.py: Compact with 32 channels and 8 convolutions, Muon at 5e-3, batch 8 of 24 pixel crops, LR
by our bicubic in files. One photo in 50 is planted: three quarters have their GT shifted by 1 to 3 pixels, in every
direction, one quarter has the GT of another photo; which photos, and how, differs from run to run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from traiNNer.imaging.image_file import read_image
from traiNNer.utils.resize import imresize

REPOSITORY = Path(__file__).parents[1]
SHARE, SWAPPED = 0.02, 0.25
MOST_SHIFTED = 3
SCALE = 2
TARGET_RECALL, TARGET_ALARMS = 0.95, 0.01
Photos = Mapping[str, np.ndarray]


@dataclass
class Count:
    """What was planted, found, found with the right kind, and reported of clean images, over all runs."""

    planted: int = 0
    found: int = 0
    named: int = 0
    clean: int = 0
    alarms: list[str] = field(default_factory=list)

    def add(self, planted: Mapping[str, str], images: int, suspects: Mapping[str, str]) -> None:
        """Add one run: kinds by key of what was planted and of what the run listed."""
        self.planted += len(planted)
        self.found += len(planted.keys() & suspects.keys())
        self.named += sum(suspects.get(key) == kind for key, kind in planted.items())
        self.clean += images - len(planted)
        self.alarms += [f"{key} ({suspects[key]})" for key in suspects.keys() - planted.keys()]

    @property
    def is_good(self) -> bool:
        """Whether both targets are met."""
        return self.found >= TARGET_RECALL * self.planted and len(self.alarms) < TARGET_ALARMS * self.clean

    def table(self) -> str:
        """Return the figures."""
        return "\n".join(
            [
                "| figure | target | measured |",
                "|---|---|---|",
                f"| planted pairs that are listed | 95 % | {share(self.found, self.planted)} |",
                f"| of these, with the right kind and shift | | {share(self.named, self.found)} |",
                f"| clean pairs that are listed | < 1 % | {share(len(self.alarms), self.clean)} |",
            ]
        )


def share(part: int, whole: int) -> str:
    """Return `7 of 8 (87.5 %)`."""
    return f"{part:,} of {whole:,} ({100 * part / max(1, whole):.1f} %)"


def photos_of(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Return the first photos of a folder by name, cut to multiples of the scale."""
    photos = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file())[:count]:
        image = read_image(path)
        height, width = (side // SCALE * SCALE for side in image.shape[:2])
        photos[path.stem] = np.ascontiguousarray(image[:height, :width])
    return photos


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return an image moved by whole pixels, mirrored where it is uncovered."""
    edge = MOST_SHIFTED
    wide = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), "reflect")
    return wide[edge - down : edge - down + image.shape[0], edge - right : edge - right + image.shape[1]]


def plant(photos: Photos, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return GT by key, some of them wrong, and what is wrong with these, in the words of a run."""
    chosen = [str(key) for key in rng.choice(list(photos), max(4, round(SHARE * len(photos))), replace=False)]
    swapped = chosen[: max(1, round(SWAPPED * len(chosen)))]
    targets, planted = dict(photos), {}
    for key in chosen:
        if key in swapped:
            others = [k for k in photos if k not in chosen and photos[k].shape == photos[key].shape]
            targets[key], planted[key] = photos[str(rng.choice(others))], "does not belong together"
            continue
        down, right = 0, 0
        while not 1 <= max(abs(down), abs(right)) <= MOST_SHIFTED:
            down, right = (int(by) for by in rng.integers(-MOST_SHIFTED, MOST_SHIFTED + 1, 2))
        targets[key], planted[key] = shifted(photos[key], down, right), f"shifted by ({down}, {right}) px"
    return targets, planted


def options(iterations: int, seed: int) -> dict[str, Any]:
    """Return the option file of one run."""
    train = {"type": "PairedImageDataset", "dataroot_gt": "hr", "dataroot_lq": "lr", "lq_size": 24}
    return {
        "name": "run",
        "scale": SCALE,
        "num_gpu": 0,
        "manual_seed": seed,
        "datasets": {"train": train | {"batch_size_per_gpu": 8, "num_worker_per_gpu": 0}},
        "network_g": {"type": "compact", "num_feat": 32, "num_conv": 8},
        "train": {
            "total_iter": iterations,
            "warmup_iter": 30,
            "optim_g": {"type": "Muon", "lr": 5e-3},
            "scheduler": {"type": "LinearLR", "total_iters": iterations, "start_factor": 1.0, "end_factor": 0.01},
            "ema_decay": 0.98,
            "losses": [{"type": "L1Loss"}],
        },
        "val": {"val_enabled": False},
        "logger": {"use_tb_logger": False},
    }


def run(folder: Path, photos: Photos, iterations: int, seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """Train once; return what was planted and what the run listed, kinds by key."""
    targets, planted = plant(photos, np.random.default_rng(seed))
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("hr", "lr"):
        (folder / part).mkdir(parents=True)
    for key, photo in photos.items():
        write(folder / "hr" / f"{key}.png", targets[key])
        write(folder / "lr" / f"{key}.png", imresize(photo, 1 / SCALE))
    (folder / "options.yml").write_text(yaml.safe_dump(options(iterations, seed)), encoding="utf-8")
    command = [sys.executable, str(REPOSITORY / "train.py"), "-opt", "options.yml"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True)
    return planted, listed(folder / "experiments/run/metrics.jsonl")


def listed(record: Path) -> dict[str, str]:
    """Return what a run listed, kinds by key."""
    events = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    event = next(event for event in events if event["event"] == "suspect_images")
    return {Path(image["gt"]).stem: image["kind"] for image in event["images"]}


def write(path: Path, image: np.ndarray) -> None:
    """Write a PNG quickly."""
    path.write_bytes(cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--runs", type=int, default=4, help="choices of what is planted, each a run")
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    parser.add_argument("--iterations", type=int, default=600, help="length of a run")
    parser.add_argument("--photos", type=int, default=400, help="how many of the photos")
    parser.add_argument("--work", type=Path, default=Path("benchmark-data-that-hurts"), help="folder for the runs")
    args = parser.parse_args()
    photos, count = photos_of(args.data, args.photos), Count()
    for seed in range(args.first, args.first + args.runs):
        planted, suspects = run(args.work.resolve() / str(seed), photos, args.iterations, seed)
        missed = {key: kind for key, kind in planted.items() if key not in suspects}
        before = len(count.alarms)
        count.add(planted, len(photos), suspects)
        print(f"run {seed}: missed {missed or 'none'}; false {count.alarms[before:] or 'none'}", flush=True)
    print(f"\n{count.table()}")
    if not count.is_good:
        sys.exit("target missed")


if __name__ == "__main__":
    main()
