"""What travels from a dataset to a training step, and what every dataset offers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:  # datasets import this file, and need no torch
    from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One image as a dataset makes it: [T,] H, W, 3 RGB arrays, uint8 or uint16, `gt` being `scale` times as large.

    Either may be missing: `gt` of images that are only to be upscaled, `lq` where the model makes it from `gt`.

    Args:
        lq: the small image, or clip.
        gt: the ground truth.
        key: names the image (its stem below the dataset root).
        seed: for what is drawn later, such as a degradation on the device: the loader sets it, as a function of
            (manual_seed, epoch, index) alone.
        skipped: names damaged files that this sample stands in for: texts such as `d/x.png (truncated PNG)`.
        recipe_seed: of the degradations that a step will make of this sample; None: there are none to be made.
        previous: the key of the frame before, where this is one of a film and no scene begins with it.
    """

    lq: np.ndarray | None
    gt: np.ndarray | None
    key: str
    _: KW_ONLY
    seed: int = 0
    skipped: tuple[str, ...] = ()
    recipe_seed: int | None = None
    previous: str = ""

    @property
    def middle(self) -> np.ndarray | None:
        """LQ of the ground truth, H, W, 3: the image itself, of a clip that makes one image its middle frame."""
        return None if self.lq is None else middle_of(self.lq, 3)


@dataclass(frozen=True)
class Batch:
    """A micro-batch of samples that have the same sides.

    From the loader B, [T,] H, W, 3 uint8 or uint16; after `Runtime.move` B, [T,] 3, H, W float32 in [0, 1]. `seeds`
    has one number below 2^63 for each image; a part of a batch keeps those of its images. So has `recipe_seeds` where a
    step makes the degradations: None for an image that stays as it is.
    """

    lq: "Tensor | None"
    gt: "Tensor | None"
    keys: tuple[str, ...]
    _: KW_ONLY
    seeds: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    recipe_seeds: tuple[int | None, ...] = ()

    @property
    def middle(self) -> "Tensor | None":
        """LQ of the ground truth, B, 3, H, W: the images themselves; middle frames of clips that make one image each.

        Clips whose ground truth are clips, too, stay whole. For batches on the device.
        """
        if self.lq is None or (self.gt is not None and self.gt.ndim == self.lq.ndim):
            return self.lq
        return middle_of(self.lq, 4)

    def map(self, change: "Callable[[Tensor], Tensor]") -> "Batch":
        """Return the batch with other images: what `change` makes of those that are there."""
        lq, gt = (None if images is None else change(images) for images in (self.lq, self.gt))
        return replace(self, lq=lq, gt=gt)

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; torch's loader calls this where it is asked to pin."""
        return self.map(lambda images: images.pin_memory())

    def grown(self, side: int) -> "Batch":
        """Return a batch from the loader with LQ images of another side, made by repeating their pixels.

        What a step needs in memory and time depends on the size alone.
        """
        if self.lq is None or (before := self.lq.shape[-2]) == side:
            return self

        def repeated(images: "Tensor") -> "Tensor":
            places = np.arange(images.shape[-2] * side // before) % images.shape[-2]
            return images[..., places, :, :][..., places, :]

        return self.map(repeated)

    def part(self, start: int, end: int) -> "Batch":
        """Return some of the images, without copying them."""
        part = self.map(lambda images: images[start:end])
        seeds = {"seeds": self.seeds[start:end], "recipe_seeds": self.recipe_seeds[start:end]}
        return replace(part, keys=self.keys[start:end], skipped=(), **seeds)


def middle_of(images: Any, dimensions: int) -> Any:
    """Return images, or the middle frames of clips, which have one dimension more than `dimensions`, the third last."""
    return images[..., images.shape[-4] // 2, :, :, :] if images.ndim > dimensions else images


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

    def restore(self, changes: Iterable[Sequence[int]], ranks: tuple[int, int] = (1, 1)) -> None:
        """Take over the changes of a run before, unless it began with another size.

        Args:
            changes: iteration and size of each, of the run before.
            ranks: how many processes there were, and how many there are: sizes are per process, and what all of them
                draw together stays the same.
        """
        before, now = ranks
        given = [(start, size * before // now) for start, size in changes if size * before % now == 0]
        if given[:1] == self.changes[:1]:
            self.changes = given


class Degrade(Protocol):
    """Spoils images or clips as a recipe says: pure functions of (image, seed).

    All frames of a clip, T, H, W, 3, are spoiled with the same parameters; noise is that of their numbers, `frames`.
    """

    @property
    def is_batched(self) -> bool:
        """Whether the recipe can be made for a batch, wherever that is."""
        ...

    def lq(self, image: np.ndarray, seed: int, size: tuple[int, int], frames: Sequence[int] = ()) -> np.ndarray:
        """Return LQ of (height, width) `size` from an [T,] H, W, 3 image, in the same integer type."""
        ...

    def gt(self, image: np.ndarray, seed: int, frames: Sequence[int] = ()) -> np.ndarray:
        """Return the ground truth that is trained with, from the same image, in the same shape and type."""
        ...

    def batch(self, batch: "Batch", levels: int, *, is_made_of_gt: bool) -> "Batch":
        """Return a batch with the same done to the images that have a `recipe_seed`; LQ is made of GT, or of LQ."""
        ...


class ImageSet(ABC):
    """Base of every dataset: a length, samples as pure functions of (index, rng), and whole images.

    The first four methods have to be written; everything else has a neutral default.
    """

    crop_size: int | None = None
    """Side of the random training crops in LQ pixels, of the largest where they grow; None where it is not fixed."""
    has_gt: bool = True
    """Whether its samples have a ground truth."""
    is_film: bool = False
    """Whether its images are the frames of films, in order, which a metric may compare with the frame before."""
    strict: bool = False
    """Whether the first damaged image ends the run."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Return a random training crop of image `index`; all randomness comes from `rng`."""

    def sample_at(self, index: int, rng: np.random.Generator, iteration: int) -> Sample:  # noqa: ARG002 - a default
        """Return the same for an iteration, counted from 0, where crops change in the course of a run."""
        return self.sample(index, rng)

    @abstractmethod
    def whole(self, index: int) -> Sample:
        """Return the whole image `index`, uncropped and unaugmented, for validation and test."""

    @abstractmethod
    def fingerprint(self) -> dict[str, str | int]:
        """Return what identifies the content (`count`, and hashes under any names), for the training state."""

    def open(self, purpose: Literal["train", "val"], name: str) -> list[str]:  # noqa: ARG002 - a default
        """Get ready, before anything else is asked, in the main process. Returns notices for the log.

        Args:
            purpose: whether `sample` or `whole` will be called.
            name: the set in the user's words, e.g. `datasets.train`, for messages.

        Raises:
            DataError: the set cannot be used.
        """
        return []

    def leave_degradations(self) -> "Callable[[Batch, int], Batch] | None":
        """Leave the degradations of training crops to the step, where they can be made for a batch.

        Returns what makes them there, of a batch after `Runtime.move` and the number of levels that its images had, 255
        or 65535; None where samples come as they are trained with. Called before the first sample.
        """
        return None

    def describe(self, index: int) -> str:
        """Return what `sample(index, …)` reads, for messages."""
        return f"image {index}"

    def paired_files(self) -> Mapping[str, tuple[Path, Path]]:
        """Return the files of GT and LQ by the key of the image, all in order; nothing where one is made of the other.

        Where there are some, a run looks for pairs that do not belong together.
        """
        return {}

    def originals(self) -> Sequence[Path]:
        """Return the files of the ground truth, in order; nothing where there are none."""
        return ()

    def smallest_output(self) -> tuple[int, int] | None:
        """Return height and width of the smallest image that will be made and compared; None where that is open."""
        return None

    def share_cache(self, processes: int) -> str:  # noqa: ARG002 - a default
        """Decide what is kept of what was read, for so many data workers; 0: the main process reads.

        Returns one line for the log; nothing where there is nothing to say.
        """
        return ""

    def relief(self) -> str:
        """Return what a user can do to make its samples cheaper, as in `keep decoded images (cache: auto)`."""
        return ""

    def start_worker(self) -> None:  # noqa: B027 - not every set needs it
        """Get ready in a data worker, before its first sample: open a separate file handle, for example."""
