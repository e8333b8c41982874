"""What is written by hand beside the library that could do it: time of both on the same input, size of the library.

python benchmarks/libraries.py [--quick]
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from traiNNer.audit.duplicates import fingerprint
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.data.demo import PHOTOS
from traiNNer.imaging.image_file import read_image
from traiNNer.utils.files import natural_key
from traiNNer.utils.shipped import shipped_options

TEXT = (shipped_options() / "2x_compact.yml").read_text(encoding="utf-8")
NAMES = [f"img{number * 7919 % 5000}_{number % 3}.png" for number in range(2000)]


def ruamel(module: Any) -> Callable[[], object]:
    """Read an option file with comments and places."""
    return lambda: module.YAML().load(TEXT)


def natsort(module: Any) -> Callable[[], object]:
    """Sort names of files."""
    return lambda: module.natsorted(NAMES)


def imagehash(module: Any) -> Callable[[], object]:
    """Hash a photo."""
    from PIL import Image

    image = Image.fromarray(photo())
    return lambda: module.phash(image)


def photo() -> np.ndarray:
    """Return a photo of 2 megapixels."""
    return cv2.resize(read_image(PHOTOS / "coffee.webp"), (1632, 1224))


def pairs() -> dict[str, tuple[str, Callable, Callable[[], object]]]:
    """Return module, use of the library, and ours, by what they do."""
    image = photo()
    return {
        "option file": ("ruamel.yaml", ruamel, lambda: load_yaml(TEXT, "x.yml")),
        "2,000 names": ("natsort", natsort, lambda: sorted(NAMES, key=natural_key)),
        "hash of a photo": ("imagehash", imagehash, lambda: fingerprint(image)),
    }


def paired(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median seconds of both, taken in turn."""
    times: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for call, found in zip((ours, theirs), times, strict=True):
            begun = time.perf_counter()
            call()
            found.append(time.perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 2 if parser.parse_args().quick else 31
    cv2.setNumThreads(1)
    for what, (name, use, ours) in pairs().items():
        try:
            module = importlib.import_module(name)
        except ImportError:
            print(f"{what:18} {name} is not installed")
            continue
        mine, theirs = paired(ours, use(module), rounds)
        print(f"{what:18} ours {mine * 1e3:.2f} ms, {name} {theirs * 1e3:.2f} ms, ours / theirs {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
