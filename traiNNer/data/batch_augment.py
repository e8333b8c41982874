"""Images of a micro-batch mixed with each other: a pure function of their seeds.

Each image draws by its own seed what is done to it, and with which other image of its micro-batch. That happens where
samples are stacked, so neither the data workers, nor a resume, nor a step that is split for memory changes the result.
Boxes are drawn in LQ pixels; that of the ground truth is `scale` times as large and lies at `scale` times its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from traiNNer.batch import Batch
from traiNNer.errors import DataError
from traiNNer.utils.resize import imresize

Method = Literal["none", "mixup", "cutmix", "resizemix", "cutblur"]
STREAM = 2
"""Which stream of an image's seed is drawn from; a degradation of the same image takes another."""
MIXUP_BETA = 1.2
RESIZEMIX_SIDES = (0.1, 0.8)
CUTBLUR_SIDE, CUTBLUR_SPREAD = 0.7, 0.01


@dataclass(frozen=True)
class Sides:
    """Both sides of a micro-batch: B, [T,] H, W, 3 integers, of which one may be missing."""

    lq: np.ndarray | None
    gt: np.ndarray | None

    @property
    def scale(self) -> int:
        """Return how many times larger GT is; 1 where a side is missing."""
        return 1 if self.lq is None or self.gt is None else self.gt.shape[-2] // self.lq.shape[-2]

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width on whose grid boxes are drawn: those of LQ, of GT where there is no LQ."""
        images = self.gt if self.lq is None else self.lq
        assert images is not None  # a batch has at least one side
        return images.shape[-3], images.shape[-2]

    def each(self) -> list[tuple[np.ndarray, int]]:
        """Return the sides that are there, each with how many of its pixels a pixel of the grid spans."""
        return [(images, factor) for images, factor in ((self.lq, 1), (self.gt, self.scale)) if images is not None]

    def copy(self) -> "Sides":
        """Return the same images in other memory."""
        return Sides(*(None if images is None else images.copy() for images in (self.lq, self.gt)))


@dataclass(frozen=True)
class Box:
    """A part of an image, in pixels of the grid."""

    top: int
    left: int
    height: int
    width: int

    def at(self, factor: int) -> tuple[slice, slice]:
        """Return its rows and columns where a pixel of the grid spans `factor` pixels."""
        rows = slice(self.top * factor, (self.top + self.height) * factor)
        return rows, slice(self.left * factor, (self.left + self.width) * factor)


Change = Callable[[Sides, Sides, int, int, np.random.Generator], None]


@dataclass(frozen=True)
class BatchAugment:
    """Mixes the images of a micro-batch.

    Args:
        methods: what an image may draw.
        shares: how likely each is; they add up to 1.
    """

    methods: tuple[Method, ...]
    shares: tuple[float, ...]

    def __call__(self, batch: Batch) -> Batch:
        """Return the micro-batch, B, [T,] H, W, 3 integers, with its images mixed; `none` leaves one bit-equal.

        Raises:
            DataError: `cutblur` may be drawn, and there is no LQ or no ground truth.
        """
        if "cutblur" in self.drawable and (batch.lq is None or batch.gt is None):
            side = "LQ image" if batch.lq is None else "ground truth"
            raise DataError(f"train.moa_augs: cutblur needs both sides, and {batch.keys[0]} has no {side}. Remove it.")
        # What is pasted comes from images as they were read, whatever was done to them before.
        before = Sides(*(None if images is None else images.numpy() for images in (batch.lq, batch.gt)))
        after = before.copy()
        for place, seed in enumerate(batch.seeds):
            rng = image_rng(seed)
            change = CHANGES[self.draw(rng)]
            change(before, after, place, partner(place, len(batch.seeds), rng), rng)
        lq, gt = (None if images is None else torch.from_numpy(images) for images in (after.lq, after.gt))
        return replace(batch, lq=lq, gt=gt)

    @property
    def drawable(self) -> tuple[Method, ...]:
        """Return the methods that are not impossible."""
        return tuple(method for method, share in zip(self.methods, self.shares, strict=True) if share > 0)

    def draw(self, rng: np.random.Generator) -> Method:
        """Return what is done to the image of a generator."""
        ends = np.cumsum(self.shares)
        return self.methods[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]


def image_rng(seed: int) -> np.random.Generator:
    """Return the generator of what is mixed into the image with a seed."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, STREAM])))


def partner(place: int, count: int, rng: np.random.Generator) -> int:
    """Return another image of `count`, each equally likely; an image that is alone gets itself."""
    return (place + int(rng.integers(1, count))) % count if count > 1 else place


def draw_box(size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator) -> Box:
    """Return a box with these shares of the sides, at least a pixel, anywhere inside."""
    height, width = (min(side, max(1, round(side * part))) for side, part in zip(size, share, strict=True))
    top, left = (int(rng.integers(0, side - part + 1)) for side, part in zip(size, (height, width), strict=True))
    return Box(top, left, height, width)


def _leave(before: Sides, after: Sides, place: int, other: int, rng: np.random.Generator) -> None:
    """Change nothing."""


def _mixup(before: Sides, after: Sides, place: int, other: int, rng: np.random.Generator) -> None:
    """Average two images with a weight from Beta(1.2, 1.2) (Zhang et al. 2018; the law of Yoo et al. 2020)."""
    weight = rng.beta(MIXUP_BETA, MIXUP_BETA)
    for (source, _), (target, _) in zip(before.each(), after.each(), strict=True):
        mixed = weight * source[place] + (1 - weight) * source[other]
        target[place] = np.floor(mixed + 0.5).astype(target.dtype)


def _cutmix(before: Sides, after: Sides, place: int, other: int, rng: np.random.Generator) -> None:
    """Paste a box of another image, its area uniform, at the same place (Yun et al. 2019)."""
    side = float(np.sqrt(rng.random()))
    box = draw_box(before.size, (side, side), rng)
    for (source, factor), (target, _) in zip(before.each(), after.each(), strict=True):
        rows, columns = box.at(factor)
        target[place][..., rows, columns, :] = source[other][..., rows, columns, :]


def _resizemix(before: Sides, after: Sides, place: int, other: int, rng: np.random.Generator) -> None:
    """Paste the whole of another image, shrunk to 0.1 to 0.8 of its sides (Qin et al. 2020)."""
    share = rng.uniform(*RESIZEMIX_SIDES)
    box = draw_box(before.size, (share, share), rng)
    for (source, factor), (target, _) in zip(before.each(), after.each(), strict=True):
        rows, columns = box.at(factor)
        size = (box.height * factor, box.width * factor)
        target[place][..., rows, columns, :] = resized(source[other], size)


def _cutblur(before: Sides, after: Sides, place: int, _: int, rng: np.random.Generator) -> None:
    """Paste the ground truth, shrunk to the size of LQ, into a box of LQ or around it (Yoo et al. 2020).

    The network learns where an image needs nothing. The ground truth stays; so does an LQ that is its plain shrunk
    copy.
    """
    assert before.lq is not None
    assert before.gt is not None
    assert after.lq is not None
    share = np.clip(rng.normal(CUTBLUR_SIDE, CUTBLUR_SPREAD, 2), 0, 1)
    box = draw_box(before.size, (float(share[0]), float(share[1])), rng)
    clean = resized(before.gt[place], before.size)
    if before.lq.dtype != clean.dtype:
        clean = in_depth(clean, before.lq.dtype)
    rows, columns = box.at(1)
    inner, outer = (clean, before.lq[place]) if rng.random() < 0.5 else (before.lq[place], clean)
    after.lq[place] = outer
    after.lq[place][..., rows, columns, :] = inner[..., rows, columns, :]


CHANGES: Mapping[str, Change] = {
    "none": _leave,
    "mixup": _mixup,
    "cutmix": _cutmix,
    "resizemix": _resizemix,
    "cutblur": _cutblur,
}


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a [T,] H, W, 3 image in another size, by antialiased bicubic."""
    if image.shape[-3:-1] == size:
        return image
    frames = [imresize(frame, size=size) for frame in image.reshape(-1, *image.shape[-3:])]
    return np.stack(frames).reshape(*image.shape[:-3], *size, image.shape[-1])


def in_depth(image: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Return an image of 8 or 16 bit in the other depth."""
    return image.astype(kind) * kind.type(257) if kind == np.uint16 else ((image + 128.0) // 257).astype(kind)
