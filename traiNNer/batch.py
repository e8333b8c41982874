"""The two plain types that travel from a dataset to a training step."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:  # datasets import this file, and need no torch
    from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One pair as a dataset makes it: H, W, 3 RGB arrays, uint8 or uint16, `gt` being `scale` times as large.

    `key` names the image (its stem below the dataset root). `skipped` tells of damaged files that this sample stands
    in for: texts such as `d/x.png (truncated PNG)`.
    """

    lq: np.ndarray
    gt: np.ndarray | None
    key: str
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """A micro-batch: B, H, W, 3 uint8 or uint16 from the loader; B, 3, H, W float32 in [0, 1] after `Runtime.move`."""

    lq: "Tensor"
    gt: "Tensor | None"
    keys: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; torch's loader calls this where it is asked to pin."""
        return replace(self, lq=self.lq.pin_memory(), gt=None if self.gt is None else self.gt.pin_memory())

    def part(self, start: int, end: int) -> "Batch":
        """Return some of the images, without copying them."""
        gt = None if self.gt is None else self.gt[start:end]
        return Batch(self.lq[start:end], gt, self.keys[start:end])


class BatchPlan:
    """How many images the loader draws per device and micro-batch: a function of the iteration, with a few changes.

    Batches are drawn ahead, so a change takes effect `lead` iterations later. The loader never draws further ahead than
    that, so the stream of samples does not depend on how many data workers there are.
    """

    def __init__(self, size: int, lead: int = 64) -> None:
        self.lead = lead
        self.changes: list[tuple[int, int]] = [(0, size)]

    def size(self, iteration: int) -> int:
        """Return the size at an iteration, counted from 0."""
        return next(size for start, size in reversed(self.changes) if start <= iteration)

    def before(self, iteration: int) -> int:
        """Return the sum of the sizes of all iterations before this one."""
        ends = [*(start for start, _ in self.changes[1:]), iteration]
        spans = zip(self.changes, ends, strict=True)
        return sum(size * max(0, min(end, iteration) - start) for (start, size), end in spans)

    def change(self, iteration: int, size: int) -> None:
        """Ask for another size; it comes `lead` iterations later."""
        self.changes.append((max(iteration + self.lead, self.changes[-1][0]), size))


class ImageSet(Protocol):
    """What every dataset offers: a length, samples as pure functions of (index, rng), and whole images."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Return a random training crop of image `index`; all randomness comes from `rng`."""
        ...

    def whole(self, index: int) -> Sample:
        """Return the whole image `index`, uncropped and unaugmented, for validation and test."""
        ...

    def fingerprint(self) -> dict[str, str | int]:
        """Return what identifies the content (`count`, and hashes under any names), for the training state."""
        ...
