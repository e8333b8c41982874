"""A recipe: degradations in an order, each with its probability, as one function of (images, seeds)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from traiNNer.batch import Batch
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
        is_batched: whether it is made for a batch, on any device.
    """

    name: str
    change: Degradation | Resizing
    prob: float = 1.0
    either: str | None = None
    is_batched: bool = True


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
        self._titles, self._target_titles = _titled(steps, ""), _titled(target, "target ")
        self._lots = _lots(steps, self._titles, "")
        self._target_lots = _lots(target, self._target_titles, "target ")

    def __call__(
        self,
        images: Tensor,
        seeds: Sequence[int],
        size: tuple[int, int],
        notes: Notes | None = None,
        frames: Sequence[int] | None = None,
    ) -> Tensor:
        """Return the LQ images: B, C, h, w float32 in [0, 1].

        Args:
            images: B, C, H, W float32 in [0, 1], from which LQ is made.
            seeds: one whole number for each image.
            size: h and w, of LQ.
            notes: where the drawn parameters are written down.
            frames: numbers of the images where they are frames of clips, all of a clip with one seed.
        """
        sizes = np.tile(np.asarray(size, np.int64), (len(images), 1))
        return self.some(Images.of(images), seeds, sizes, notes, frames).pixels

    def single(self, image: Tensor, seed: int, size: tuple[int, int], notes: Notes | None = None) -> Tensor:
        """Return the same of one image, 1, C, H, W, in less time on a CPU, but for rounding (`Degradation.quick`)."""
        sizes = np.asarray([size], np.int64)
        return self.some(Images.of(image), (seed,), sizes, notes, is_quick=True).pixels

    def some(
        self,
        images: Images,
        seeds: Sequence[int],
        sizes: np.ndarray,
        notes: Notes | None = None,
        frames: Sequence[int] | None = None,
        *,
        is_quick: bool = False,
    ) -> Images:
        """Return the LQ images of images of several sizes; `sizes` are those of LQ, B, 2."""
        chosen = _chosen(self._lots, seeds)
        for number, is_its_turn in self._turns(seeds):
            here = np.flatnonzero(is_its_turn & chosen[:, number])
            if len(here):
                draws = Draws(seeds, self._titles[number], notes, frames).part(here)
                changed = _changed(self.steps[number].change, images.part(here), draws, sizes[here], is_quick)
                images = images.replaced(here, changed)
        return resample(images, sizes, [LAST_FILTER] * len(sizes), antialias=True)

    def on_target(
        self,
        images: Tensor,
        seeds: Sequence[int],
        notes: Notes | None = None,
        frames: Sequence[int] | None = None,
        *,
        is_quick: bool = False,
    ) -> Tensor:
        """Return the ground truth that is trained with: B, C, H, W float32 in [0, 1]."""
        result = Images.of(images)
        for number, chosen in enumerate(_chosen(self._target_lots, seeds).T):
            here = np.flatnonzero(chosen)
            if len(here):
                draws = Draws(seeds, self._target_titles[number], notes, frames).part(here)
                change = self.target[number].change
                changed = _changed(change, result.part(here), draws, result.sizes[here], is_quick)
                result = result.replaced(here, changed)
        return result.pixels

    def _turns(self, seeds: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the numbers of the steps in an order in which every image finds its own: those whose turn it is."""
        count = len(self.steps)
        if not self.shuffle:
            everyone = np.ones(len(seeds), dtype=bool)
            yield from ((number, everyone) for number in range(count))
            return
        order = Draws(seeds, "order").ranks("order", count)
        for place in range(count):
            for number in np.unique(order[:, place]):
                yield int(number), order[:, place] == number


def _titled(steps: Sequence[Step], prefix: str) -> list[str]:
    """Return the name of each step, and which of its kind it is: another kind beside it changes none of its draws."""
    titles = []
    for number, step in enumerate(steps):
        same = sum(other.name == step.name for other in steps[: number + 1])
        titles.append(f"{prefix}{step.name}" if same == 1 else f"{prefix}{step.name} {same}")
    return titles


def _lots(steps: Sequence[Step], titles: Sequence[str], prefix: str) -> list[tuple[str, float, float]]:
    """Return for each step by which draw, from and to where in [0, 1), an image gets it."""
    lots: list[tuple[str, float, float]] = []
    passed: dict[str, float] = {}
    for step, title in zip(steps, titles, strict=True):
        name = f"{prefix}either {step.either}" if step.either else title
        start = passed.get(name, 0.0)
        passed[name] = start + step.prob
        lots.append((name, start, start + step.prob))
    return lots


def _chosen(lots: Sequence[tuple[str, float, float]], seeds: Sequence[int]) -> np.ndarray:
    """Return which image gets which step: B, steps."""
    chosen = np.ones((len(seeds), len(lots)), dtype=bool)
    for number, (name, start, end) in enumerate(lots):
        if start > 0 or end < 1:
            share = Draws(seeds, name).uniform("prob", 0, 1)
            chosen[:, number] = (share >= start) & (share < end)
    return chosen


def _changed(
    change: Degradation | Resizing, images: Images, draws: Draws, target: np.ndarray, is_quick: bool
) -> Images:
    if isinstance(change, Resizing):
        return change(images, draws, target)
    return images.with_pixels(change.quick(images.pixels, draws)) if is_quick else change.on(images, draws)


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
    """A recipe as a dataset has it, for arrays, one image at a time, or for a batch. It can be sent to data workers.

    Args:
        recipe: the recipe.
        notes: where the drawn parameters are written down, of one image after the other.
    """

    def __init__(self, recipe: Recipe, notes: Notes | None = None) -> None:
        self.recipe = recipe
        self.notes = notes

    def lq(self, image: np.ndarray, seed: int, size: tuple[int, int], frames: Sequence[int] = ()) -> np.ndarray:
        """Return LQ, [T,] h, w, 3, of an [T,] H, W, 3 image of the same integer type; a clip has numbered frames."""
        with one_thread(), torch.inference_mode():
            pixels = _pixels(image)
            if not frames:
                return _integers(self.recipe.single(pixels, seed, size, self.notes), image)
            return _integers(self.recipe(pixels, (seed,) * len(pixels), size, self.notes, frames), image)

    def gt(self, image: np.ndarray, seed: int, frames: Sequence[int] = ()) -> np.ndarray:
        """Return the ground truth that is trained with, [T,] H, W, 3 of the same integer type."""
        if not self.recipe.target:
            return image
        with one_thread(), torch.inference_mode():
            pixels = _pixels(image)
            seeds, numbers = (seed,) * len(pixels), frames or None
            return _integers(self.recipe.on_target(pixels, seeds, self.notes, numbers, is_quick=not frames), image)

    @property
    def is_batched(self) -> bool:
        """Whether the recipe can be made for a batch, wherever that is."""
        return all(step.is_batched for step in (*self.recipe.steps, *self.recipe.target))

    def batch(self, batch: Batch, levels: int, *, is_made_of_gt: bool) -> Batch:
        """Return a batch with the same done to the images that have a `recipe_seed`, but for rounding.

        Args:
            batch: B, 3, H, W float32 in [0, 1], anywhere.
            levels: 255 or 65535: what pixels are rounded to, as those of files are.
            is_made_of_gt: whether LQ is made of the ground truth, or of LQ.
        """
        seeds = [seed for seed in batch.recipe_seeds if seed is not None]
        lq, gt = batch.lq, batch.gt
        if not seeds or lq is None:
            return batch
        where = torch.tensor([place for place, seed in enumerate(batch.recipe_seeds) if seed is not None])
        where = where.to(lq.device)
        with torch.no_grad():
            if gt is not None and self.recipe.target:
                gt = gt.index_copy(0, where, _rounded(self.recipe.on_target(gt[where], seeds), levels))
            source = gt if is_made_of_gt and gt is not None else lq
            height, width = lq.shape[-2:]
            lq = lq.index_copy(0, where, _rounded(self.recipe(source[where], seeds, (height, width)), levels))
        return replace(batch, lq=lq, gt=gt)


def _rounded(pixels: Tensor, levels: int) -> Tensor:
    return pixels.mul(levels).round_().div_(levels)


def _pixels(image: np.ndarray) -> Tensor:
    """Return an [T,] H, W, 3 image as B, 3, H, W float32 in [0, 1]."""
    clip = image if image.ndim == 4 else image[None]
    flat = np.ascontiguousarray(clip.transpose(0, 3, 1, 2), dtype=np.float32)
    return torch.from_numpy(flat / np.float32(np.iinfo(image.dtype).max))


def _integers(pixels: Tensor, like: np.ndarray) -> np.ndarray:
    """Return B, 3, H, W pixels as integers in the layout of an image."""
    most = np.iinfo(like.dtype).max
    scaled = pixels.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float64) * most
    whole = np.rint(scaled).clip(0, most).astype(like.dtype)
    return whole if like.ndim == 4 else whole[0]
