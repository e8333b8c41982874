"""How long degradations take, beside the usual way: one image at a time, each step a call of torch.

    python -m benchmarks.degradations [--crops 64] [--side 256] [--scale 4] [--device cpu]

The recipe is that of Real-ESRGAN with the values of its paper. On the CPU every image is made alone on one thread, as a
data worker makes it; on a device the whole batch at once. The usual way computes the same steps in the same order for
one image after the other: kernels padded to 21 pixels and convolved by torch, `interpolate`, noise drawn by torch, JPEG
by matrix products.
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
from traiNNer.degradations.jpeg import compressed
from traiNNer.degradations.recipe import Recipe, Step, one_thread
from traiNNer.registry import DEGRADATIONS

KERNEL = 21
NOT_OPTIONS = ("type", "prob", "either", "target")


def real_esrgan() -> Recipe:
    """Return the recipe of the paper."""
    steps = []
    for step in steps_of({**AT_TOP, **IN_DATASET}):
        options = {key: value for key, value in step.items() if key not in NOT_OPTIONS}
        change = DEGRADATIONS.build(step["type"], options)
        steps.append(Step(step["type"], change, step.get("prob", 1.0), step.get("either")))
    return Recipe(steps)


def usual_way(image: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """Return LQ of one 1, 3, H, W image, by the usual calls."""
    blur = DEGRADATIONS.build("blur", {"size": (7, KERNEL)})
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
            made = made + (torch.poisson(made * 255) / 255 - made) * rng.uniform(0.05, 3)
        made = made.clamp(0, 1)
        if whole != side:
            made = compressed(made, rng.integers(30, 96, 1), "420")
    made = F.interpolate(made, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
    if rng.random() < 0.8:
        made = _convolved(made, _padded(blur.drawn(Draws([int(rng.integers(2**60))], "sinc"))[0])).clamp(0, 1)
    return compressed(made, rng.integers(30, 96, 1), "420")


def _padded(kernel: np.ndarray) -> Tensor:
    margin = (KERNEL - len(kernel)) // 2
    return torch.from_numpy(np.pad(kernel, margin).astype(np.float32))


def _convolved(image: Tensor, kernel: Tensor) -> Tensor:
    weights = kernel.expand(3, 1, KERNEL, KERNEL)
    return F.conv2d(F.pad(image, (KERNEL // 2,) * 4, mode="replicate"), weights, groups=3)


def milliseconds(work: Callable[[], None], crops: int, clock: Callable[[], float]) -> float:
    """Return how long one crop takes when `work` makes `crops`."""
    work()  # what is made once, such as tables
    start = clock()
    work()
    return (clock() - start) / crops * 1000


def measure(crops: int, side: int, scale: int, device: str) -> dict[str, float]:
    """Return milliseconds for each crop: of ours and, on the CPU, of the usual way."""
    images = torch.rand(crops, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    images = F.interpolate(images, size=(side, side), mode="bicubic").clamp(0, 1).to(device)
    recipe, small = real_esrgan(), side // scale
    if device != "cpu":

        def batch() -> None:
            recipe(images, range(crops), (small, small)).sum().item()

        with torch.inference_mode():
            return {"ours": milliseconds(batch, crops, time.perf_counter)}

    def ours() -> None:
        for place in range(crops):
            recipe(images[place : place + 1], [place], (small, small))

    def usual() -> None:
        rng = np.random.default_rng(0)
        for place in range(crops):
            usual_way(images[place : place + 1], small, rng)

    with torch.inference_mode(), one_thread():
        # Time of this process alone: other work on the machine does not count.
        return {name: milliseconds(work, crops, time.process_time) for name, work in (("ours", ours), ("usual", usual))}


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=64)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    for name, took in measure(args.crops, args.side, args.scale, args.device).items():
        print(f"{name:6} {took:7.2f} ms per crop, {1000 / took:7.0f} crops/s")


if __name__ == "__main__":
    main()
