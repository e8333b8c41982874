"""What training on degradations brings: one network trained on them, the same on bicubic, both scored on such photos.

    python -m benchmarks.real_world --data <BSDS400> --test <Set5> [--work real_world] [--iterations 3000]
    python -m benchmarks.real_world --data DIR --test DIR --quick

Both runs see the same crops of the same photos for the same number of iterations; only their LQ differs: shrunk by
bicubic, or by the recipe. Both are scored on test photos that were spoiled by this recipe, and on photos that were only
shrunk. The gain and a picture of details are printed and written.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from benchmarks.picture import GAP, panel
from traiNNer.imaging.image_file import read_image
from traiNNer.metrics.psnr import PSNR
from traiNNer.utils.resize import imresize

SCALE = 2
RECIPE = [
    {"type": "blur", "kernels": ["iso", "aniso"], "sigma": [0.4, 1.6], "prob": 0.8},
    {"type": "resize", "factor": [0.7, 1.3], "probs": [0.3, 0.5, 0.2]},
    {"type": "noise", "kinds": ["gaussian", "poisson"], "sigma": [1, 12], "poisson_scale": [0.1, 1.0]},
    {"type": "shrink", "filters": ["bicubic", "bilinear", "area"]},
    {"type": "jpeg", "quality": [40, 90]},
]
"""Web photos: out of focus, resized, noisy, compressed."""
ARMS = {"bicubic": [], "real world": RECIPE}
SPOILED, CLEAN = "spoiled", "clean"
DETAIL = 72
REPOSITORY = Path(__file__).resolve().parents[1]


def options(name: str, arm: str, data: Path, test: Path, iterations: int) -> dict[str, Any]:
    """Return the option file of one run."""
    photos = {"type": "singlegtdataset", "dataroot_gt": str(test)}
    return {
        "name": name,
        "scale": SCALE,
        "num_gpu": 0,
        "manual_seed": 1,
        "network_g": {"type": "compact", "num_feat": 32, "num_conv": 8},
        "datasets": {
            "train": {
                "type": "singlegtdataset",
                "dataroot_gt": str(data),
                "degradations": ARMS[arm],
                "lq_size": 32,
                "batch_size_per_gpu": 8,
                "num_worker_per_gpu": 0,
            },
            "val": photos | {"name": SPOILED, "degradations": RECIPE},
            "val_clean": photos | {"name": CLEAN},
        },
        "train": {
            "total_iter": iterations,
            "warmup_iter": min(100, iterations // 4),
            "grad_clip": True,
            "ema_decay": 0.99,
            "optim_g": {"type": "AdamW", "lr": 1e-3, "weight_decay": 0},
            "scheduler": {"type": "CosineAnnealingLR", "eta_min": 1e-6},
            "losses": [{"type": "l1loss"}],
        },
        "val": {"val_freq": iterations, "save_img": True, "metrics": {"psnr": {}, "ssim": {}}},
        "logger": {"use_tb_logger": False},
    }


def trained(work: Path, arm: str, data: Path, test: Path, iterations: int) -> Path:
    """Train one arm unless it is done, and return the folder of its run."""
    name = arm.replace(" ", "_")
    run = work / "experiments" / name
    if not list(run.glob(f"models/net_g*_{iterations}.safetensors")):
        file = work / f"{name}.yml"
        file.write_text(yaml.safe_dump(options(name, arm, data, test, iterations), sort_keys=False), encoding="utf-8")
        call(work, str(REPOSITORY / "train.py"), "-opt", file.name, "--auto_resume")
    return run


def call(work: Path, *arguments: str) -> None:
    """Run Python with the code of this repository in the folder of the runs."""
    subprocess.run([sys.executable, *arguments], cwd=work, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=True)


def scores(run: Path) -> dict[str, float]:
    """Return the last score of every set and metric, such as `val/spoiled/psnr`."""
    found: dict[str, float] = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found |= {key: value for key, value in record.items() if key.startswith("val/")}
    return found


def saved(run: Path, photo: str, name: str) -> np.ndarray:
    """Return the last image that a validation wrote of a photo of a set."""
    written = sorted((run / "visualization").rglob(f"*{photo}*.png"), key=lambda path: path.stat().st_mtime)
    return read_image([path for path in written if name in path.parts][-1])


def picture(work: Path, runs: dict[str, Path], test: Path) -> np.ndarray:
    """Return the panels of every test photo: LQ, bicubic upscaling, both networks, original."""
    spoiled = work / "lq"
    if not spoiled.exists():
        ends = "-i", str(test), "-o", str(spoiled)
        call(work, "-m", "traiNNer", "degrade", "-opt", "real_world.yml", "--of", "val", *ends)
    return np.concatenate([row(path, runs, test) for path in sorted(spoiled.glob("*.png"))])


def row(path: Path, runs: dict[str, Path], test: Path) -> np.ndarray:
    """Return the panels of one spoiled photo."""
    lq, gt = read_image(path), read_image(next(test.glob(f"{path.stem}.*")))
    gt = gt[: lq.shape[0] * SCALE, : lq.shape[1] * SCALE]
    images = {"bicubic": imresize(lq, size=gt.shape[:2])}
    images |= {f"trained on {arm}": saved(run, path.stem, SPOILED) for arm, run in runs.items()}
    score = PSNR(scale=SCALE)
    images = {f"{name} {score(image, gt):.1f} dB": image for name, image in images.items()}
    images = {"LQ": lq.repeat(SCALE, axis=0).repeat(SCALE, axis=1), **images, "original": gt}
    top, left = (side // 2 - DETAIL // 2 for side in gt.shape[:2])
    panels = [panel(image[top : top + DETAIL, left : left + DETAIL], text) for text, image in images.items()]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for one in panels for part in (one, gap)][:-1], axis=1)


def table(found: dict[str, dict[str, float]]) -> str:
    """Return the scores of every arm as a table."""
    columns = {f"PSNR-Y, {SPOILED}": (f"{SPOILED}/psnr", 2), f"SSIM-Y, {SPOILED}": (f"{SPOILED}/ssim", 4)}
    columns |= {"PSNR-Y, only shrunk": (f"{CLEAN}/psnr", 2)}
    rows = [f"| trained on | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for arm, values in found.items():
        cells = [f"{values[f'val/{key}']:.{digits}f}" for key, digits in columns.values()]
        rows.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """Train both, print the scores and the gain, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="photos to train on")
    parser.add_argument("--test", type=Path, required=True, help="photos to score on")
    parser.add_argument("--work", type=Path, default=Path("real_world"), help="folder of the runs")
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--output", type=Path, help="the picture; default: real_world.jpg in the folder of the runs")
    parser.add_argument("--quick", action="store_true", help="a few iterations, to see that it runs")
    args = parser.parse_args(arguments)
    iterations = 8 if args.quick else args.iterations
    data, test, work = args.data.resolve(), args.test.resolve(), args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    runs = {arm: trained(work, arm, data, test, iterations) for arm in ARMS}
    found = {arm: scores(run) for arm, run in runs.items()}
    print(table(found))
    gain = found["real world"][f"val/{SPOILED}/psnr"] - found["bicubic"][f"val/{SPOILED}/psnr"]
    print(f"gain on spoiled photos: {gain:+.2f} dB after {iterations} iterations")
    output = args.output or work / "real_world.jpg"
    cv2.imwrite(str(output), picture(work, runs, test)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"written: {output}")


if __name__ == "__main__":
    main()
