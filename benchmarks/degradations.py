"""How long degradations take on one core, beside the usual ways: one image at a time, each step a call of torch.

    python -m benchmarks.degradations [--crops 16] [--side 256] [--scale 4] [--rounds 5] [--quick]
    python -m benchmarks.degradations --kinds          # each kind: its definition, and what data workers call
    python -m benchmarks.degradations --device cuda    # the whole batch at once

The recipe is that of Real-ESRGAN with the values of its paper, of second order. Data workers make every image alone on
one thread (`ours`). `lean` computes the same steps in the same order for one image after the other: kernels padded to
21 pixels and convolved by torch, `interpolate`, noise drawn by torch, JPEG by products with 8 x 8 matrices. `redux` has
two steps as traiNNer-redux does them: Poisson noise in as many steps as there are different values in the image, which
are searched, and JPEG by products of 64 x 64 matrices without rounding to bytes.

All ways take turns at every crop, and of each crop the least processor time of all rounds counts: other programs on the
machine can only add to it.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from traiNNer.config.foreign_degradations import AT_TOP, IN_DATASET
from traiNNer.config.foreign_degradations import recipe as steps_of
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.jpeg import CHROMA, LUMA, _cosines, compressed, table
from traiNNer.degradations.protocol import Images, Resizing
from traiNNer.degradations.recipe import Recipe, Step, one_thread
from traiNNer.registry import DEGRADATIONS

KERNEL = 21
FIRST = {
    "blur_prob": 0.8,
    "sinc_prob": 0.1,
    "kernel_range": [7, KERNEL],
    "gaussian_noise_prob": 0.5,
    "gray_noise_prob": 0.4,
}
PAPER = {
    **FIRST,
    **{f"{key}2": value for key, value in FIRST.items()},
    "blur_sigma": [0.2, 3],
    "resize_range": [0.15, 1.5],
    "noise_range": [1, 30],
    "poisson_scale_range": [0.05, 3],
    "blur_sigma2": [0.2, 1.5],
    "resize_range2": [0.3, 1.2],
    "noise_range2": [1, 25],
    "poisson_scale_range2": [0.05, 2.5],
    "jpeg_range": [30, 95],
    "jpeg_range2": [30, 95],
    "final_sinc_prob": 0.8,
    "final_kernel_range": [7, KERNEL],
}
"""What the paper of Real-ESRGAN says of both orders."""
NOT_OPTIONS = ("type", "prob", "either", "target")


def real_esrgan() -> Recipe:
    """Return the recipe of the paper."""
    steps = []
    for step in steps_of({**AT_TOP, **IN_DATASET, **PAPER}):
        options = {key: value for key, value in step.items() if key not in NOT_OPTIONS}
        change = DEGRADATIONS.build(step["type"], options)
        steps.append(Step(step["type"], change, step.get("prob", 1.0), step.get("either")))
    return Recipe(steps)


def usual_way(image: Tensor, side: int, rng: np.random.Generator, *, is_redux: bool = False) -> Tensor:
    """Return LQ of one 1, 3, H, W image, by the usual calls."""
    blur = DEGRADATIONS.build("blur", {"size": (7, KERNEL)})
    coded = by_large_matrices if is_redux else lambda pixels, quality: compressed(pixels, np.array([quality]), "420")
    made = image
    for low, high, whole in ((0.15, 1.5, image.shape[-1]), (0.3, 1.2, side)):
        if rng.random() < 0.8:
            made = _convolved(made, _padded(blur.drawn(Draws([int(rng.integers(2**60))], "blur"))[0]))
        size = max(8, round(whole * rng.uniform(low, high)))
        made = F.interpolate(made, size=(size, size), mode="bicubic", antialias=True)
        if rng.random() < 0.5:
            made = made + torch.randn_like(made) * rng.uniform(1, 30) / 255
        else:
            made = made.clamp(0, 1)
            added = searched_poisson(made, rng.random() < 0.4) if is_redux else torch.poisson(made * 255) / 255 - made
            made = made + added * rng.uniform(0.05, 3)
        made = made.clamp(0, 1)
        if whole != side:
            made = coded(made, int(rng.integers(30, 96)))
    made = F.interpolate(made, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
    if rng.random() < 0.8:
        made = _convolved(made, _padded(blur.drawn(Draws([int(rng.integers(2**60))], "sinc"))[0])).clamp(0, 1)
    return coded(made, int(rng.integers(30, 96)))


def searched_poisson(image: Tensor, is_gray: bool) -> Tensor:
    """Return Poisson noise in as many steps as an image has different bytes, to the next power of two."""

    def noise(pixels: Tensor) -> Tensor:
        pixels = (pixels * 255).round().clamp(0, 255) / 255
        steps = 2 ** np.ceil(np.log2(len(torch.unique(pixels))))
        return torch.poisson(pixels * steps) / steps - pixels

    colored = noise(image)  # drawn in any case
    return noise(image.mean(dim=1, keepdim=True)).expand_as(image) if is_gray else colored


def by_large_matrices(image: Tensor, quality: int) -> Tensor:
    """Return a 1, 3, H, W image after JPEG with 420 color, each block of 64 pixels times a 64 x 64 matrix and back."""
    height, width = image.shape[-2:]
    padded = F.pad(image * 255, (0, -width % 16, 0, -height % 16))
    red, green, blue = padded.unbind(dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    halved = [F.avg_pool2d(((one - luma) / by)[:, None], 2)[:, 0] for one, by in ((blue, 1.772), (red, 1.402))]
    y, cb, cr = (
        _blocks_coded(plane, table(base, np.array([quality]), plane).view(64))
        for plane, base in ((luma - 128, LUMA), (halved[0], CHROMA), (halved[1], CHROMA))
    )
    y = y + 128
    cb, cr = (one.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2) for one in (cb, cr))
    made = torch.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb), dim=1)
    return (made[..., :height, :width] / 255).clamp(0, 1)


def _blocks_coded(plane: Tensor, steps: Tensor) -> Tensor:
    rows, columns = (side // 8 for side in plane.shape[-2:])
    blocks = plane.view(rows, 8, columns, 8).transpose(1, 2).reshape(-1, 64)
    cosines = torch.from_numpy(np.kron(_cosines(), _cosines()))
    blocks = (torch.round(blocks @ cosines.T / steps) * steps) @ cosines
    return blocks.view(rows, columns, 8, 8).transpose(1, 2).reshape(plane.shape)


def _padded(kernel: np.ndarray) -> Tensor:
    margin = (KERNEL - len(kernel)) // 2
    return torch.from_numpy(np.pad(kernel, margin).astype(np.float32))


def _convolved(image: Tensor, kernel: Tensor) -> Tensor:
    weights = kernel.expand(3, 1, KERNEL, KERNEL)
    return F.conv2d(F.pad(image, (KERNEL // 2,) * 4, mode="replicate"), weights, groups=3)


def photos(crops: int, side: int) -> Tensor:
    """Return smooth random images."""
    images = torch.rand(crops, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(images, size=(side, side), mode="bicubic").clamp(0, 1)


def least(ways: dict[str, Callable[[int], object]], crops: int, rounds: int) -> dict[str, float]:
    """Return the milliseconds of one crop by each way, the least of all rounds, of processor time."""
    took = {name: np.full(crops, np.inf) for name in ways}
    for _ in range(rounds):
        for place in range(crops):
            for name, work in ways.items():
                start = time.process_time()
                work(place)
                took[name][place] = min(took[name][place], time.process_time() - start)
    return {name: float(values.mean()) * 1000 for name, values in took.items()}


def measure(crops: int, side: int, scale: int, rounds: int) -> dict[str, float]:
    """Return milliseconds for each crop by every way, on one thread of the CPU."""
    images, recipe, small = photos(crops, side), real_esrgan(), side // scale
    ways: dict[str, Callable[[int], object]] = {
        "ours": lambda place: recipe.single(images[place : place + 1], place, (small, small)),
        "lean": lambda place: usual_way(images[place : place + 1], small, np.random.default_rng(place)),
        "redux": lambda place: usual_way(images[place : place + 1], small, np.random.default_rng(place), is_redux=True),
    }
    with torch.inference_mode(), one_thread():
        return least(ways, crops, rounds)


def measure_kinds(crops: int, side: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of each kind with its defaults, as it is defined and as data workers call it."""
    images, found = photos(crops, side), {}
    target = np.array([[side // 2, side // 2]])
    for name in DEGRADATIONS.names():
        change = DEGRADATIONS.build(name, {})
        if isinstance(change, Resizing):
            ways: dict[str, Callable[[int], object]] = {
                "ours": lambda place, change=change: change(
                    Images.of(images[place : place + 1]), Draws([place], "kind"), target
                )
            }
        else:
            ways = {
                "defined": lambda place, change=change: change(images[place : place + 1], Draws([place], "kind")),
                "ours": lambda place, change=change: change.quick(images[place : place + 1], Draws([place], "kind")),
            }
        with torch.inference_mode(), one_thread():
            found[name] = least(ways, crops, rounds)
    return found


def measure_batch(crops: int, side: int, scale: int, device: str) -> float:
    """Return milliseconds for each crop where a device makes all at once."""
    images, recipe = photos(crops, side).to(device), real_esrgan()

    def batch() -> None:
        recipe(images, range(crops), (side // scale, side // scale)).sum().item()

    with torch.inference_mode():
        batch()
        start = time.perf_counter()
        for _ in range(10):
            batch()
        return (time.perf_counter() - start) / 10 / crops * 1000


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each way, or for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=16)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kinds", action="store_true", help="one line for each kind")
    parser.add_argument("--quick", action="store_true", help="few and small crops, to see that it runs")
    args = parser.parse_args(arguments)
    crops, side, rounds = (2, 64, 1) if args.quick else (args.crops, args.side, args.rounds)
    if args.device != "cpu":
        took = measure_batch(crops, side, args.scale, args.device)
        print(f"{args.device}: {took:.2f} ms per crop, {1000 / took:.0f} crops/s")
        return
    if args.kinds:
        print(f"| kind, {side} x {side} | as defined, ms | in a data worker, ms |\n|---|---|---|")
        for name, took in measure_kinds(crops, side, rounds).items():
            defined = f"{took['defined']:.2f}" if "defined" in took else ""
            print(f"| `{name}` | {defined} | {took['ours']:.2f} |")
        return
    found = measure(crops, side, args.scale, rounds)
    for name, took in found.items():
        print(f"{name:6} {took:7.2f} ms per crop, {1000 / took:5.0f} crops/s, {took / found['ours']:5.2f} of ours")


if __name__ == "__main__":
    main()
