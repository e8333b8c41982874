"""The picture of docs/degradations.md: one crop with each degradation, strong enough to be seen.

python -m benchmarks.degradation_pictures [--output docs/images/degradations.jpg]
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from skimage.data import astronaut

from benchmarks.degradations import real_esrgan
from benchmarks.picture import panel
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.registry import DEGRADATIONS

TOP, LEFT, SIDE, COLUMNS, GAP = 70, 176, 64, 8, 8
WIDE = {"size": [13, 13], "sigma": [2.5, 2.5]}
SHOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "blur: iso": ("blur", {"kernels": ["iso"], **WIDE}),
    "blur: aniso": ("blur", {"kernels": ["aniso"], "size": [15, 15], "sigma": [0.6, 5.0]}),
    "blur: generalized": ("blur", {"kernels": ["generalized_iso"], **WIDE, "beta_generalized": [0.5, 0.5]}),
    "blur: plateau": ("blur", {"kernels": ["plateau_iso"], **WIDE, "beta_plateau": [2, 2]}),
    "blur: sinc": ("blur", {"kernels": ["sinc"], "size": [15, 15], "cutoff": [0.8, 0.8]}),
    "resize: back": ("resize", {"factor": [0.3, 0.3], "probs": [0, 1, 0], "filters": ["bicubic"], "back": True}),
    "resize: nearest": ("resize", {"factor": [0.3, 0.3], "probs": [0, 1, 0], "filters": ["nearest"], "back": True}),
    "noise: gaussian": ("noise", {"kinds": ["gaussian"], "sigma": [25, 25], "gray_prob": 0}),
    "noise: poisson": ("noise", {"kinds": ["poisson"], "poisson_scale": [2, 2], "gray_prob": 0}),
    "noise: speckle": ("noise", {"kinds": ["speckle"], "speckle": [20, 20], "gray_prob": 0}),
    "noise: gray": ("noise", {"kinds": ["gaussian"], "sigma": [25, 25], "gray_prob": 1}),
    "jpeg: 12": ("jpeg", {"quality": [12, 12]}),
    "codec: webp 8": ("codec", {"quality": [8, 8]}),
    "videocodec: 40": ("videocodec", {"crf": [40, 40]}),
    "chroma: 410": ("chroma", {"subsampling": ["410"]}),
    "usm": ("usm", {"radius": [5, 5], "amount": [1.5, 1.5], "threshold": 2}),
    "thicklines": ("thicklines", {"pixels": [2, 2], "strength": [0.8, 0.8]}),
    "quantize: none": ("quantize", {"levels": [4, 4], "dithers": ["none"]}),
    "quantize: ordered": ("quantize", {"levels": [4, 4], "dithers": ["ordered"]}),
    "quantize: noise": ("quantize", {"levels": [4, 4], "dithers": ["noise"]}),
    "banding": ("banding", {"levels": [6, 6], "sigma": [4, 4]}),
    "halftone": ("halftone", {"period": [4, 4], "strength": [0.8, 0.8]}),
    "shrink": ("shrink", {}),
}
"""Captions with a step and its options."""


def panels() -> list[np.ndarray]:
    """Return the crop, the crop with each degradation, and with a recipe of second order."""
    photo = np.ascontiguousarray(astronaut()[TOP : TOP + SIDE, LEFT : LEFT + SIDE])
    made = [panel(photo, "original")]
    for text, (name, options) in SHOWN.items():
        size = SIDE // 2 if name == "shrink" else SIDE
        recipe = Recipe([Step(name, DEGRADATIONS.build(name, options))])
        image = Degrader(recipe).lq(photo, 3, (size, size))
        made.append(panel(image.repeat(SIDE // size, axis=0).repeat(SIDE // size, axis=1), text))
    return [*made, panel(Degrader(real_esrgan()).lq(photo, 3, (SIDE, SIDE)), "Real-ESRGAN")]


def main(arguments: list[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images/degradations.jpg"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    made = panels()
    height, width = made[0].shape[:2]
    rows = -(-len(made) // COLUMNS)
    picture = np.full((rows * height, COLUMNS * (width + GAP) - GAP, 3), 255, np.uint8)
    for place, one in enumerate(made):
        row, column = divmod(place, COLUMNS)
        picture[row * height : (row + 1) * height, column * (width + GAP) : column * (width + GAP) + width] = one
    cv2.imwrite(str(args.output), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    print(f"written: {args.output}")


if __name__ == "__main__":
    main()
