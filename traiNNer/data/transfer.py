"""The way of a micro-batch from a data worker to the run: through shared memory, or through a pipe where it is full."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traiNNer.batch import Batch, Sample
from traiNNer.data.transforms import copy_turned
from traiNNer.errors import DataError

PIPE = (
    "/dev/shm is too small for the batches of the data workers: some come through a pipe, which is slower. "
    "Give the container more (docker run --shm-size=2g), or lower num_worker_per_gpu."
)


Augment = Callable[[Batch], Batch]
"""What is done to a micro-batch where it is stacked: a pure function of it, which can be pickled."""


@dataclass(frozen=True)
class Parcel:
    """A micro-batch that found no room in shared memory: its images are plain arrays, copied through a pipe."""

    lq: np.ndarray | None
    gt: np.ndarray | None
    rest: Batch

    def pin_memory(self) -> "Parcel":
        """Return the same: torch would take it apart."""
        return self

    def unpacked(self) -> Batch:
        """Return the micro-batch."""
        lq, gt = (None if images is None else torch.from_numpy(images) for images in (self.lq, self.gt))
        return replace(self.rest, lq=lq, gt=gt)


def collate_to_send(
    samples: Sequence[Sample | BaseException], augment: Augment | None = None
) -> Batch | Parcel | BaseException:
    """Stack samples in a data worker, and find a way for them.

    torch moves tensors to shared memory in a thread, where a failure is only printed and the run waits for ever. So
    they are moved here.
    """
    try:
        batch = collate(samples, augment, new=new_shared)
    except (RuntimeError, OSError):
        batch = collate(samples, augment)
    if not isinstance(batch, Batch):
        return batch
    try:
        return batch.map(Tensor.share_memory_)  # which leaves those alone that are there already
    except (RuntimeError, OSError):
        lq, gt = (None if images is None else images.numpy() for images in (batch.lq, batch.gt))
        return Parcel(lq, gt, replace(batch, lq=None, gt=None))


def new_shared(shape: Sequence[int], kind: torch.dtype) -> Tensor:
    """Return a tensor in shared memory, its values undefined. Raises `RuntimeError` or `OSError` where it is full."""
    like = torch.empty(0, dtype=kind)
    storage = like.untyped_storage()._new_shared(math.prod(shape) * like.itemsize)  # as torch's own collate does it
    return like.set_(storage).reshape(tuple(shape))


def collate(
    samples: Sequence[Sample | BaseException],
    augment: Augment | None = None,
    new: Callable[[Sequence[int], torch.dtype], Tensor] = lambda shape, kind: torch.empty(shape, dtype=kind),
) -> Batch | BaseException:
    """Stack samples to a micro-batch, and augment it as a whole. Each image is written once, to memory from `new`.

    Where 8 and 16 bit meet, the 8-bit ones are widened exactly (x 257).
    The problem of a sample takes the place of the batch; so does that of samples which cannot be stacked.
    """
    good = []
    for sample in samples:
        if not isinstance(sample, Sample):
            return sample
        good.append(sample)
    keys = tuple(sample.key for sample in good)
    try:
        lq = _stack("LQ", keys, [sample.lq for sample in good], new)
        gt = _stack("GT", keys, [sample.gt for sample in good], new)
    except DataError as error:
        return error
    if lq is None and gt is None:
        return DataError(f"{keys[0]} has neither an LQ image nor a ground truth.")
    skipped = tuple(text for sample in good for text in sample.skipped)
    recipe_seeds = tuple(sample.recipe_seed for sample in good)
    if all(seed is None for seed in recipe_seeds):
        recipe_seeds = ()
    seeds = tuple(sample.seed for sample in good)
    batch = Batch(lq, gt, keys, seeds=seeds, skipped=skipped, recipe_seeds=recipe_seeds)
    try:
        return augment(batch) if augment else batch
    except DataError as error:
        return error


def fault_of(sample: Any) -> str:
    """Return what a dataset made instead of a sample; nothing for a sample."""
    if not isinstance(sample, Sample):
        return f"{type(sample).__name__} instead of a Sample"
    for side, image in (("lq", sample.lq), ("gt", sample.gt)):
        if image is not None and not isinstance(image, np.ndarray):
            return f"{side} is {type(image).__name__} instead of an array"
    return ""


def _stack(
    side: str,
    keys: Sequence[str],
    images: Sequence[np.ndarray | None],
    new: Callable[[Sequence[int], torch.dtype], Tensor],
) -> Tensor | None:
    """Return the images of one side in one tensor, None where no sample has one. Raises `DataError` if they differ."""
    there = [image for image in images if image is not None]
    if not there:
        return None
    shapes = dict(zip(map(_shape, images), keys, strict=True))
    if len(shapes) > 1:
        found = ", ".join(f"{shape} for {key}" for shape, key in shapes.items())
        raise DataError(f"The {side} images of one batch differ: {found}.")
    is_deep = any(image.dtype == np.uint16 for image in there)
    kind = np.dtype(np.uint16) if is_deep else np.result_type(*{image.dtype for image in there})
    stacked = new((len(there), *there[0].shape), torch.from_numpy(np.empty(0, kind)).dtype)
    for image, place in zip(there, stacked.numpy(), strict=True):
        copy_turned(image if image.dtype == kind or not is_deep else image.astype(np.uint16) * 257, place)
    return stacked


def _shape(image: np.ndarray | None) -> str:
    return "none" if image is None else " x ".join(map(str, image.shape))
