"""The picture of docs/gan.md: details of the validation photos as LR, bicubic, fidelity stage, GAN stage and original.

python benchmarks/gan_demo.py        (after `python train.py -opt options/train/2x_gan_two_stages.yml`)
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import traiNNer  # noqa: F401 - before torch: it sets how threads wait

# isort: split

import cv2
import numpy as np
import torch

from benchmarks.picture import GAP, panel
from traiNNer import load_network
from traiNNer.engine.evaluation.drift import drift
from traiNNer.engine.evaluation.evaluation import to_image
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.imaging.image_file import read_image
from traiNNer.metrics.psnr import PSNR
from traiNNer.utils.resize import imresize

RUNTIME = Runtime(torch.device("cpu"), "picture")
DETAILS = {"astronaut": (330, 150, 96)}


def upscaled(weights: Path, lq: np.ndarray) -> np.ndarray:
    """Return what a network makes of an image."""
    with torch.inference_mode():
        return to_image(load_network(weights)(RUNTIME.to_float(torch.from_numpy(lq).unsqueeze(0)))[0])


def measured(output: np.ndarray, lq: np.ndarray, gt: np.ndarray) -> dict[str, float]:
    """Return PSNR and drift of an output."""
    images = [RUNTIME.to_float(torch.from_numpy(image).unsqueeze(0))[0] for image in (output, lq, gt)]
    return {"psnr": PSNR(scale=2)(output, gt)} | drift(images[0], images[1], images[2], 2)


def row(root: Path, photo: str, stages: dict[str, Path]) -> np.ndarray:
    """Return the panels of one photo, and print what was measured."""
    lq, gt = (read_image(f"{root}/datasets/demo/val/{part}/{photo}.png") for part in ("lr", "hr"))
    top, left, side = DETAILS.get(photo, (100, 100, 96))
    inside = (slice(top, top + side), slice(left, left + side))
    outputs = {"bicubic": imresize(lq, size=gt.shape[:2])}
    outputs |= {name: upscaled(weights, lq) for name, weights in stages.items()}
    panels = [panel(lq.repeat(2, axis=0).repeat(2, axis=1)[inside], "LR")]
    for name, output in outputs.items():
        found = measured(output, lq, gt)
        print(photo, name, json.dumps({key: round(value, 3) for key, value in found.items()}))
        panels.append(panel(output[inside], f"{name} {found['psnr']:.2f} dB"))
    panels.append(panel(gt[inside], "original"))
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for item in panels for part in (item, gap)][:-1], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the training ran in")
    parser.add_argument("--iteration", type=int, default=300, help="of the GAN stage")
    parser.add_argument("--output", type=Path, default=Path("docs/images/gan.jpg"))
    options = parser.parse_args()
    run = options.root / "experiments/2x_gan_two_stages"
    stages = {
        "fidelity": run / "fidelity/models/net_g_best_psnr.safetensors",
        "GAN": run / f"gan/models/net_g_ema_{options.iteration}.safetensors",
    }
    photos = sorted(path.stem for path in (options.root / "datasets/demo/val/lr").glob("*.png"))
    picture = np.concatenate([row(options.root, photo, stages) for photo in photos])
    cv2.imwrite(str(options.output), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
