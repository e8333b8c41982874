"""The README's image: a detail of a validation photo as LR, bicubic, network output and original.

python benchmarks/picture.py        (after `python train.py -opt options/2x_compact.yml`)
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import traiNNer  # noqa: F401 - before torch: it sets how threads wait

# isort: split

import cv2
import numpy as np
import torch

from traiNNer import load_network
from traiNNer.engine.evaluation.evaluation import to_image
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.imaging.image_file import read_image, write_image
from traiNNer.metrics.psnr import PSNR
from traiNNer.utils.resize import imresize

ZOOM, GAP, LABEL = 3, 8, 28


def panel(image: np.ndarray, text: str) -> np.ndarray:
    """Return a detail with nearest-neighbor upscaling and a caption."""
    enlarged = image.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    label = np.full((LABEL, enlarged.shape[1], 3), 255, np.uint8)
    cv2.putText(label, text, (2, LABEL - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.52, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([enlarged, label])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--weights", default="experiments/2x_compact/models/net_g_best_psnr.safetensors")
    parser.add_argument("--photo", default="astronaut")
    parser.add_argument("--detail", type=int, nargs=3, default=(330, 150, 96), metavar=("TOP", "LEFT", "SIDE"))
    parser.add_argument("--output", type=Path, default=Path("docs/images/result.png"))
    options = parser.parse_args()
    lq, gt = (read_image(f"datasets/demo/val/{part}/{options.photo}.png") for part in ("lr", "hr"))
    runtime = Runtime(torch.device("cpu"), "picture")
    with torch.inference_mode():
        output = to_image(load_network(options.weights)(runtime.to_float(torch.from_numpy(lq).unsqueeze(0)))[0])
    bicubic = imresize(lq, size=gt.shape[:2])
    top, left, side = options.detail
    inside = (slice(top, top + side), slice(left, left + side))
    score = PSNR(scale=2)
    images = {
        "LR": lq.repeat(2, axis=0).repeat(2, axis=1),
        f"bicubic {score(bicubic, gt):.2f} dB": bicubic,
        f"ours {score(output, gt):.2f} dB": output,
        "original": gt,
    }
    panels = [panel(image[inside], text) for text, image in images.items()]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    write_image(options.output, np.concatenate([part for item in panels for part in (item, gap)][:-1], axis=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
