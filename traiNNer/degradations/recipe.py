"""A recipe: degradations in an order, each with its probability, as one function of (images, seeds)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from traiNNer.degradations.draws import Draws, Notes
from traiNNer.degradations.protocol import Degradation, Images, Resizing
from traiNNer.degradations.resize import resample

LAST_FILTER = "bicubic"


@dataclass(frozen=True)
class Step:
    """One degradation of a recipe.

    Args:
        name: what it is, for notes.
        change: the degradation.
        prob: how often an image gets it.
        either: steps of one such name exclude each other.
    """

    name: str
    change: Degradation | Resizing
    prob: float = 1.0
    either: str | None = None


class Recipe:
    """Makes LQ images: a pure function of (image, seed, size of LQ), whatever the batch.

    Args:
        steps: what is done to the image from which LQ is made, in this order.
        target: what is done to the ground truth before; the size stays.
        shuffle: draw an order of `steps` for each image.
    """

    def __init__(self, steps: Sequence[Step], target: Sequence[Step] = (), shuffle: bool = False) -> None:
        if any(isinstance(step.change, Resizing) for step in target):
            raise ValueError("the ground truth keeps its size: no resize or shrink with target: true")
        for name in {step.either for step in steps if step.either}:
            total = sum(step.prob for step in steps if step.either == name)
            if total > 1 + 1e-9:
                raise ValueError(f"the prob of all steps with either: {name} add up to {total:g}, which is more than 1")
        self.steps, self.target, self.shuffle = tuple(steps), tuple(target), shuffle

    def __call__(
        self, images: Tensor, seeds: Sequence[int], size: tuple[int, int], notes: Notes | None = None
    ) -> Tensor:
        """Return the LQ images: B, C, h, w float32 in [0, 1].

        Args:
            images: B, C, H, W float32 in [0, 1], from which LQ is made.
            seeds: one whole number for each image.
            size: h and w, of LQ.
            notes: where the drawn parameters are written down.
        """
        return self.some(Images.of(images), seeds, np.tile(np.asarray(size, np.int64), (len(images), 1)), notes).pixels

    def some(self, images: Images, seeds: Sequence[int], sizes: np.ndarray, notes: Notes | None = None) -> Images:
        """Return the LQ images of images of several sizes; `sizes` are those of LQ, B, 2."""
        chosen = self._chosen(self.steps, seeds)
        order = self._order(seeds)
        for place in range(len(self.steps)):
            for number in np.unique(order[:, place]):
                here = np.flatnonzero((order[:, place] == number) & chosen[:, number])
                if len(here):
                    draws = Draws(seeds, self._title(self.steps, number), notes).part(here)
                    changed = _changed(self.steps[number], images.part(here), draws, sizes[here])
                    images = images.replaced(here, changed)
        return resample(images, sizes, [LAST_FILTER] * len(sizes), antialias=True)

    def on_target(self, images: Tensor, seeds: Sequence[int], notes: Notes | None = None) -> Tensor:
        """Return the ground truth that is trained with: B, C, H, W float32 in [0, 1]."""
        chosen = self._chosen(self.target, seeds, "target ")
        result = Images.of(images)
        for number, step in enumerate(self.target):
            here = np.flatnonzero(chosen[:, number])
            if len(here):
                draws = Draws(seeds, "target " + self._title(self.target, number), notes).part(here)
                result = result.replaced(here, _changed(step, result.part(here), draws, result.sizes[here]))
        return result.pixels

    def _chosen(self, steps: Sequence[Step], seeds: Sequence[int], prefix: str = "") -> np.ndarray:
        """Return which image gets which step: B, steps."""
        chosen = np.zeros((len(seeds), len(steps)), dtype=bool)
        passed: dict[str, float] = {}
        for number, step in enumerate(steps):
            title = f"{prefix}either {step.either}" if step.either else prefix + self._title(steps, number)
            start = passed.get(title, 0.0) if step.either else 0.0
            share = Draws(seeds, title).uniform("prob", 0, 1)
            chosen[:, number] = (share >= start) & (share < start + step.prob)
            passed[title] = start + step.prob
        return chosen

    def _order(self, seeds: Sequence[int]) -> np.ndarray:
        count = len(self.steps)
        if not self.shuffle:
            return np.tile(np.arange(count), (len(seeds), 1))
        return Draws(seeds, "order").ranks("order", count)

    @staticmethod
    def _title(steps: Sequence[Step], number: int) -> str:
        """Return the name of a step, and which of its kind it is: another kind beside it changes none of its draws."""
        same = sum(step.name == steps[number].name for step in steps[: number + 1])
        return steps[number].name if same == 1 else f"{steps[number].name} {same}"


def _changed(step: Step, images: Images, draws: Draws, target: np.ndarray) -> Images:
    if isinstance(step.change, Resizing):
        return step.change(images, draws, target)
    return step.change.on(images, draws)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread of the CPU: sums do not depend on where an image is made, and small ones are quicker.

    A forked data worker has no other threads either: what the main process had started is not there.
    """
    before, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    _set_threads(1 if before != 1 else None, 1 if of_opencv != 1 else None)
    try:
        yield
    finally:
        _set_threads(before if before != 1 else None, of_opencv if of_opencv != 1 else None)


def _set_threads(of_torch: int | None, of_opencv: int | None) -> None:
    if of_torch is not None:
        torch.set_num_threads(of_torch)
    if of_opencv is not None:
        cv2.setNumThreads(of_opencv)


class Degrader:
    """A recipe for arrays, one image at a time: what a dataset calls. It can be sent to data workers.

    Args:
        recipe: the recipe.
        notes: where the drawn parameters are written down, of one image after the other.
    """

    def __init__(self, recipe: Recipe, notes: Notes | None = None) -> None:
        self.recipe = recipe
        self.notes = notes

    def lq(self, image: np.ndarray, seed: int, size: tuple[int, int]) -> np.ndarray:
        """Return LQ, h, w, 3, of an H, W, 3 image of the same integer type."""
        with one_thread(), torch.inference_mode():
            return _integers(self.recipe(_pixels(image), (seed,), size, self.notes), image.dtype)

    def gt(self, image: np.ndarray, seed: int) -> np.ndarray:
        """Return the ground truth that is trained with, H, W, 3 of the same integer type."""
        if not self.recipe.target:
            return image
        with one_thread(), torch.inference_mode():
            return _integers(self.recipe.on_target(_pixels(image), (seed,), self.notes), image.dtype)


def _pixels(image: np.ndarray) -> Tensor:
    flat = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
    return torch.from_numpy(flat / np.float32(np.iinfo(image.dtype).max))


def _integers(pixels: Tensor, kind: np.dtype) -> np.ndarray:
    scaled = pixels[0].permute(1, 2, 0).contiguous().numpy().astype(np.float64) * np.iinfo(kind).max
    return np.rint(scaled).clip(0, np.iinfo(kind).max).astype(kind)
