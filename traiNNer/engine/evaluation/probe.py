"""The probe: fixed crops on which live and averaged weights are compared, crop by crop and forward only."""

import gc
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.engine.runtime.runtime import Runtime

HELD_OUT, FEWEST, TRAINING = 8, 4, 16
"""Crops that are not trained on, the fewest of them, and crops of training images."""
LARGEST = 32
"""The largest side of a crop in LQ pixels: eight of 64 cost four times as much and err by two thirds."""
LEAST = 1e-6
"""The error that a perfect crop counts as: its logarithm has to be a number."""
Result = TypeVar("Result")


class Probe:
    """Measures networks on crops that stay the same for the whole run; rank 0 computes, every rank hears.

    Errors are the log of the root-mean-square error of a crop, its output neither clamped nor rounded; NaN where the
    output is not finite. After memory ran out once, nothing is measured any more.

    Args:
        held_out: crops with LQ and GT that are not trained on, if there are any.
        training: crops of training images.
        network: as it is trained.
        average: the average of its weights, or None.
        runtime: device and precision.
        logbook: told when memory ran out.
        most: returns how many images fit now.
    """

    def __init__(
        self,
        held_out: Sequence[Sample],
        training: Sequence[Sample],
        network: nn.Module,
        average: nn.Module | None,
        runtime: Runtime,
        logbook: Logbook,
        most: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.runtime = runtime
        self.logbook = logbook
        self._held_out, self._training = held_out, training
        networks = [network] if average is None else [network, average]
        self._networks = [(one, runtime.upscaler(one)) for one in networks]
        self._most = most
        self._is_off = False

    def held_out(self) -> tuple[list[float], list[float]] | None:
        """Return the errors of live and averaged weights on the held-out crops; None if memory ran out."""
        found = self._shared(lambda: [self._errors(which, self._held_out) for which in range(len(self._networks))])
        return (found[0], found[-1]) if found else None

    def training(self) -> list[float]:
        """Return the errors of the weights that validation scores on the training crops; none if memory ran out."""
        return self._shared(lambda: self._errors(-1, self._training)) or []

    def _shared(self, measure: Callable[[], Result]) -> Result | None:
        return self.runtime.from_main(self._guarded(measure) if self.runtime.is_main else None)

    def _guarded(self, measure: Callable[[], Result]) -> Result | None:
        if self._is_off:
            return None
        try:
            with self.runtime.memory_apart(), self.runtime.inference_with_saved_rng():
                return measure()
        # Without a name: the error would keep the tensors of the failed attempt alive.
        except (RuntimeError, MemoryError):
            if not is_out_of_memory(sys.exception()):
                raise
        self._is_off = True
        gc.collect()
        self.runtime.release_memory()
        self.logbook.warn("Out of memory while measuring the probe: it is off until the run is resumed.")
        return None

    def _errors(self, which: int, crops: Sequence[Sample]) -> list[float]:
        network, upscale = self._networks[which]
        # A power of two, so that all batches of a probe have one shape.
        size = 1 << int(min(self._most(), len(crops))).bit_length() - 1
        with evaluating(network):
            parts = [crops[start : start + size] for start in range(0, len(crops), size)]
            found = [self._log_errors(upscale(self._images(part, "lq")), part) for part in parts]
        return [value if math.isfinite(value) else math.nan for value in torch.cat(found).tolist()]

    def _log_errors(self, output: Tensor, crops: Sequence[Sample]) -> Tensor:
        squares = (output - self._images(crops, "gt")).square().mean(dim=(1, 2, 3))
        return squares.clamp(min=LEAST**2).log() / 2

    def _images(self, crops: Sequence[Sample], side: str) -> Tensor:
        return torch.cat([self.runtime.to_float(torch.from_numpy(getattr(crop, side)).unsqueeze(0)) for crop in crops])


def choose_crops(
    train_set: ImageSet, validation: Sequence[ImageSet], scale: int
) -> tuple[list[Sample], list[Sample], bool]:
    """Return held-out and training crops, and whether the first are really held out.

    Without enough crops of validation images, training images stand in. All have the side of the training crops, but at
    most 32 LQ pixels; none are found where that side is not fixed, or the images have no LQ or GT, or GT are clips.
    """
    side = train_set.crop_size
    if side is None:
        return [], [], False
    side = min(side, LARGEST)
    held_out = read_crops([one for one in validation if one.has_gt], HELD_OUT, side, scale)
    training = read_crops([train_set], TRAINING, side, scale)
    if len(held_out) >= FEWEST:
        return held_out, training, True
    return read_crops([train_set], HELD_OUT, side, scale), training, False


def read_crops(sets: Sequence[ImageSet], count: int, side: int, scale: int) -> list[Sample]:
    """Return crops from so many places, evenly chosen over the images of several sets.

    They are the centers of images; where there are fewer images than crops, several places on the diagonal. Only the
    chosen images are read, one after the other; one that cannot be used is left out.
    """
    ends = np.cumsum([len(one) for one in sets])
    chosen = Counter(int(ends[-1]) * place // count for place in range(count)) if len(ends) and ends[-1] else Counter()
    crops: list[Sample | None] = []
    for place, times in chosen.items():
        number = int(np.searchsorted(ends, place, side="right"))
        sample = _whole(sets[number], place - int(ends[number]) + len(sets[number]))
        crops += [_cut(sample, (k + 0.5) / times, side, scale) for k in range(times) if sample]
    return [crop for crop in crops if crop]


def _whole(dataset: ImageSet, index: int) -> Sample | None:
    try:
        return dataset.whole(index)
    except Exception:  # a set may be somebody else's; training or validation tell what is wrong with it
        return None


def _cut(sample: Sample, share: float, side: int, scale: int) -> Sample | None:
    """Return the square of `side` LQ pixels at a share of the diagonal; None if the sample has none."""
    lq, gt = sample.lq, sample.gt
    if lq is None or gt is None or min(lq.shape[-3:-1]) < side:
        return None
    height, width = lq.shape[-3:-1]
    if gt.shape != (height * scale, width * scale, lq.shape[-1]):
        return None
    top, left = (int((length - side) * share) for length in (height, width))
    small = lq[..., top : top + side, left : left + side, :].copy()
    large = gt[top * scale : (top + side) * scale, left * scale : (left + side) * scale].copy()
    return Sample(small, large, sample.key)
