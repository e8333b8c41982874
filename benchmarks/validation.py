"""What metrics cost in a validation, against their plain forms.

    OMP_NUM_THREADS=1 python benchmarks/validation.py [--quick] [--rounds N] [--json FILE]

PSNR and SSIM of a pair of 2040x1356 images, RGB and luma, one thread, processor time, alternating. The reference is
what the common frameworks do: whole float64 maps, an 11x11 `filter2D`, five of them a channel. Both are compared with
each other: a difference above 1e-6 ends the script.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from traiNNer.metrics.psnr import PSNR
from traiNNer.metrics.ssim import SSIM
from traiNNer.metrics.ssim_window import C1, C2, SIGMA, WINDOW
from traiNNer.utils.color import rgb_to_y
from traiNNer.utils.host_memory import keep_freed_memory

SIZE, QUICK = (1356, 2040), (520, 640)
BORDER = 2
TARGET, ALLOWED = 8.0, 1e-6
Metric = Callable[[np.ndarray, np.ndarray], float]


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with fine and coarse structure and a blurred copy of it."""
    random = np.random.default_rng(0)
    coarse = cv2.resize(random.uniform(0, 255, (height // 12, width // 12, 3)), (width, height))
    image = np.clip(coarse + random.normal(0, 8, coarse.shape), 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(image, (5, 5), 1), image


def planes(image: np.ndarray, of_luma: bool) -> list[np.ndarray]:
    """Return the float64 channels inside the border."""
    inside = image[BORDER:-BORDER, BORDER:-BORDER]
    return [rgb_to_y(inside)] if of_luma else [inside[..., place].astype(np.float64) for place in range(3)]


def plain_psnr(of_luma: bool) -> Metric:
    """Return PSNR from the mean of the squared differences in float64."""

    def psnr(a: np.ndarray, b: np.ndarray) -> float:
        errors = [np.mean((x - y) ** 2) for x, y in zip(planes(a, of_luma), planes(b, of_luma), strict=True)]
        return float(10 * np.log10(255**2 / np.mean(errors)))

    return psnr


def plain_ssim(of_luma: bool) -> Metric:
    """Return SSIM from whole maps, each filtered with the whole window."""
    line = cv2.getGaussianKernel(WINDOW, SIGMA)
    margin = WINDOW // 2

    def blur(image: np.ndarray) -> np.ndarray:
        return cv2.filter2D(image, -1, line @ line.T)[margin:-margin, margin:-margin]

    def of_plane(x: np.ndarray, y: np.ndarray) -> float:
        mean_x, mean_y = blur(x), blur(y)
        squares, product = mean_x**2 + mean_y**2, mean_x * mean_y
        variances, covariance = blur(x**2) + blur(y**2) - squares, blur(x * y) - product
        similarity = (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))
        return float(similarity.mean())

    def ssim(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([of_plane(*both) for both in zip(planes(a, of_luma), planes(b, of_luma), strict=True)]))

    return ssim


def milliseconds(metric: Metric, a: np.ndarray, b: np.ndarray) -> float:
    """Return the processor time of one call."""
    started = time.process_time()
    metric(a, b)
    return 1e3 * (time.process_time() - started)


def rows(quick: bool = False, rounds: int = 7) -> list[tuple[str, float, float, float]]:
    """Measure; returns (name, ours in ms, reference in ms, median of the paired ratios) of every metric."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    a, b = pair(*(QUICK if quick else SIZE))
    found = []
    for of_luma in (False, True):
        for name, ours, plain in (
            ("PSNR", PSNR(2, BORDER, of_luma), plain_psnr(of_luma)),
            ("SSIM", SSIM(2, BORDER, of_luma), plain_ssim(of_luma)),
        ):
            gap = abs(ours(a, b) - plain(a, b))
            if gap > ALLOWED:
                sys.exit(f"{name}: the two sides differ by {gap:.1e}, more than {ALLOWED:g}")
            times = [(milliseconds(ours, a, b), milliseconds(plain, a, b)) for _ in range(rounds)]
            mine, theirs = (statistics.median(side) for side in zip(*times, strict=True))
            ratio = statistics.median(two / one for one, two in times if one) if mine else float("inf")
            found.append((f"{name} of the {'luma' if of_luma else 'RGB'}", mine, theirs, ratio))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="small images, few rounds")
    parser.add_argument("--rounds", type=int, default=None, help="calls of each side")
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    options = parser.parse_args()
    found = rows(options.quick, options.rounds or (3 if options.quick else 7))
    print(f"{'':20}{'ours ms':>10}{'plain ms':>10}{'ratio':>8}   (target {TARGET:g})")
    for name, ours, plain, ratio in found:
        print(f"{name:20}{ours:10.2f}{plain:10.2f}{ratio:8.1f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
