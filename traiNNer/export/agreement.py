"""Whether an exported file computes what the network does, at several sizes, and how fast."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from traiNNer.errors import NotExported
from traiNNer.export.source import Source

SIZES = ((64, 64), (37, 51), (45, 80))
"""Heights and widths that are compared, odd ones among them; more where the network takes no image so small."""
TIMED = 5
TOLERANCE = 1e-4
"""Largest difference in float32, of an output in [0, 1]: rounding is far below it, a window that is off far above."""
LEAST_DB = 40.0
"""Of half precision against float32, which both round differently: an error that no eye sees."""


@dataclass(frozen=True)
class Agreement:
    """What was found: the largest difference, that of the images as PSNR, and milliseconds of both for one size."""

    largest: float
    db: float
    torch_ms: float
    exported_ms: float

    def __str__(self) -> str:
        height, width = SIZES[0]
        quality = "equal" if math.isinf(self.db) else f"{self.db:.1f} dB"
        return (
            f"largest difference {self.largest:.1e} ({quality}) at {len(SIZES)} sizes; "
            f"{width}x{height}: torch {self.torch_ms:.1f} ms, exported {self.exported_ms:.1f} ms"
        )


def compare(source: Source, call: Callable[[Tensor], Tensor], title: str, half: bool = False) -> Agreement:
    """Upscale images of several sizes with both.

    Args:
        source: the network, as it was trained.
        call: the exported file as a function from B, 3, h, w (or clips) float32 to B, 3, s*h, s*w.
        title: what the exported file is called, for messages.
        half: it computes in half precision, so it may differ by what no eye sees.

    Raises:
        NotExported: it fails at a size, or differs.
    """
    largest, squares, count = 0.0, 0.0, 0
    for place, (height, width) in enumerate(SIZES):
        # Other colors each time: a network that chooses its way by the image must choose in the file too.
        images = pattern(max(height, source.least_side), max(width, source.least_side), place, source.frames)
        wanted = source.upscaled(images)
        found = _called(call, images, title)
        if found.shape != wanted.shape:
            raise NotExported(f"{title}: images of {_size(images)} come out as {_size(found)}, not {_size(wanted)}.")
        difference = (found.double() - wanted.double()).abs()
        worst, reach = float(difference.max()), max(1.0, float(wanted.abs().max()))
        if not math.isfinite(worst) or (not half and worst > TOLERANCE * reach):
            raise NotExported(f"{title} differs from torch by {worst:.2g} for images of {_size(images)}.")
        largest = max(largest, worst)
        squares, count = squares + float(difference.square().sum()), count + difference.numel()
    db = math.inf if squares == 0 else -10 * math.log10(squares / count)
    if half and db < LEAST_DB:
        raise NotExported(f"{title} is {db:.1f} dB from float32, less than {LEAST_DB:g}: the network needs float32.")
    images = pattern(*(max(side, source.least_side) for side in SIZES[0]), frames=source.frames)
    return Agreement(largest, db, _milliseconds(source.upscaled, images), _milliseconds(call, images))


def _called(call: Callable[[Tensor], Tensor], images: Tensor, title: str) -> Tensor:
    try:
        with torch.inference_mode():
            return call(images)
    except (RuntimeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NotExported(f"{title} fails for images of {_size(images)} ({reason}).") from None


def pattern(height: int, width: int, kind: int = 0, frames: int = 1) -> Tensor:
    """Return an image, 1, 3, H, W in [0, 1], the same every time: waves, edges and noise; dark; or noise alone.

    Of more than one frame it is a clip, 1, frames, 3, H, W, that moves by a pixel a frame.
    """
    image = _pattern(height, width, kind)
    return image if frames == 1 else torch.stack([image.roll(place, -1) for place in range(frames)], 1)


def _pattern(height: int, width: int, kind: int) -> Tensor:
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width).view(1, -1)
    waves = [torch.sin(rows / period + columns / (2 * period)) for period in (3.0, 7.0, 19.0)]
    noise = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    if kind:
        return (noise if kind > 1 else 0.02 + 0.05 * noise * torch.tensor([1.0, 0.1, 2.0]).view(3, 1, 1)).unsqueeze(0)
    stripes = ((rows // 8 + columns // 8) % 2).float()
    return (0.3 + 0.3 * torch.stack(waves) + 0.2 * stripes + 0.2 * noise).clamp(0, 1).unsqueeze(0)


def _milliseconds(call: Callable[[Tensor], Tensor], images: Tensor) -> float:
    taken = []
    for _ in range(TIMED):
        started = perf_counter()
        with torch.inference_mode():
            call(images)
        taken.append(perf_counter() - started)
    return 1000 * median(taken)


def _size(images: Tensor) -> str:
    return f"{images.shape[-1]}x{images.shape[-2]}"
