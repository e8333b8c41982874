"""Scores of a network on one set of whole images, with bicubic upscaling beside it."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.engine.evaluation.ahead import ReadAhead
from traiNNer.engine.evaluation.drift import drift
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import DataError, MetricError
from traiNNer.metrics.protocol import Metric, named_call
from traiNNer.models.protocol import Upscaler
from traiNNer.traits import ArchTraits
from traiNNer.utils.plugin_errors import naming
from traiNNer.utils.resize import imresize
from traiNNer.utils.upscaling import Tiling, upscale_image

STRIP_SIZE = 128
STRIP_COUNT = 4
SMALLEST_TILE = 32
PERFECT = 100.0
"""What an infinite score, a PSNR of equal images, counts as in a mean: one such image must not decide a set."""


class EvaluationStopped(Exception):
    """A stop signal arrived between two images."""


@dataclass
class Scores:
    """Results on one set: `images[key][name]` and their plain mean, named `psnr`, `psnr_bicubic` and so on."""

    images: dict[str, dict[str, float]] = field(default_factory=dict)
    strips: dict[str, np.ndarray] = field(default_factory=dict)
    deep: list[str] = field(default_factory=list)
    """The keys of the inputs that have 16 bits; outputs have 8."""
    places: dict[str, int] = field(default_factory=dict)
    """The place in the set of the sample that each image is of."""
    on_cpu: set[str] = field(default_factory=set)
    """The metrics that the device has no memory for."""

    @classmethod
    def merged(cls, shares: "Sequence[Scores]") -> "Scores":
        """Return the scores of one set out of those of its parts: in the order of the set, as if one had scored all."""
        if len(shares) == 1:
            return shares[0]
        places = {key: place for one in shares for key, place in one.places.items()}
        keys = sorted(places, key=places.__getitem__)  # frames of one clip stay as they are
        images = {key: values for one in shares for key, values in one.images.items()}
        strips = {key: image for one in shares for key, image in one.strips.items()}
        shown = [key for key in keys if key in strips][:STRIP_COUNT]
        deep = {key for one in shares for key in one.deep}
        return cls(
            {key: images[key] for key in keys},
            {key: strips[key] for key in shown},
            [key for key in keys if key in deep],
            {key: places[key] for key in keys},
            {metric for one in shares for metric in one.on_cpu},
        )

    def mean(self) -> dict[str, float]:
        """Return the mean of every score over the images that have it; an infinite one counts as `PERFECT`."""
        names = {name: None for values in self.images.values() for name in values}
        return {
            name: float(np.mean([capped(values[name]) for values in self.images.values() if name in values]))
            for name in names
        }

    def notices(self) -> list[str]:
        """Return what the mean does not show: scores that count as `PERFECT`, and outputs that are not finite."""
        infinite = [(key, name) for key, values in self.images.items() for name in values if values[name] == math.inf]
        broken = [key for key, values in self.images.items() if any(map(math.isnan, values.values()))]
        texts = [f"{name}: the device has no memory left for it; the CPU computes it." for name in self.on_cpu]
        texts += [f"{key}: {name} is infinite and counts as {PERFECT:g} in the mean." for key, name in infinite]
        return texts + [f"{key}: the output is not finite, so its scores are NaN." for key in broken]


def capped(score: float) -> float:
    """Return a score as it counts in a mean."""
    return min(score, PERFECT) if score == math.inf else score


@dataclass(frozen=True)
class Made:
    """What was made of a frame and what belongs to it, H, W, 3 uint8: a metric may compare the next frame with it."""

    key: str
    output: np.ndarray
    target: np.ndarray | None
    bicubic: np.ndarray | None


class Evaluation:
    """One set of images, the metrics to compute on it, and how outputs are made and saved.

    With `measures_drift` each image also has the values of `drift`, which are no scores: the best weights do not depend
    on them. `before` is a network, in evaluation mode, whose output the strips show before that of the one scored.
    """

    def __init__(
        self,
        name: str,
        dataset: ImageSet,
        metrics: Mapping[str, Metric],
        scale: int,
        runtime: Runtime,
        tile_size: int = 0,
        tile_overlap: int = 0,
        traits: ArchTraits | None = None,
        measures_drift: bool = False,
        before: Upscaler | None = None,
    ) -> None:
        self.name = name
        self.dataset = dataset
        self.metrics = metrics
        self.scale = scale
        self.runtime = runtime
        self.tile_size = tile_size
        self.tile_overlap = tile_overlap
        self.traits = traits or ArchTraits()
        self.measures_drift = measures_drift
        self.before = before
        self._calls = {metric: named_call(metric, call) for metric, call in metrics.items()}
        self._on_cpu: set[str] = set()
        self.has_little_memory = False
        """Whether memory ran out before: nothing is computed together any more."""
        self._longest = 0
        self._bicubic: dict[str, dict[str, float]] = {}
        self._references: dict[str, list[np.ndarray]] = {}
        self._last: Made | None = None

    def run(
        self,
        upscale: Upscaler,
        keep: Callable[[str, np.ndarray], None] = lambda *_: None,
        before_each: Callable[[], None] = lambda: None,
        reading: Callable[[], AbstractContextManager[None]] = nullcontext,
        places: Sequence[int] | None = None,
    ) -> Scores:
        """Upscale and score every image, of a clip every frame; all randomness is as before afterwards.

        The next images are read while one is computed. Neighbors of one size are computed together where the runtime
        says that it is quicker.

        Args:
            upscale: the network, in evaluation mode.
            keep: gets the key and output of every image, H, W, 3 uint8.
            before_each: called before every image; may raise `EvaluationStopped`.
            reading: a context around the waiting for every image, which may leave a read that hangs.
            places: the images to score, in order; by default all.

        Raises:
            DataError: a sample has no LQ, its sides do not fit each other, or (`MetricError`) a metric fails.
        """
        scores, self._last = Scores(), None
        places = range(len(self.dataset)) if places is None else places
        with self.runtime.inference_with_saved_rng(), ReadAhead(self._read, places) as images:
            waiting: dict[int, Sample] = {}
            for place in places:
                before_each()
                with reading():
                    sample = images.take()
                if any(_shape(sample) != _shape(other) for other in waiting.values()):
                    self._finish(scores, upscale, waiting, keep)
                waiting[place] = sample
                if len(waiting) >= self._at_once(sample):
                    self._finish(scores, upscale, waiting, keep)
            self._finish(scores, upscale, waiting, keep)
        scores.on_cpu.update(self._on_cpu)
        return scores

    def _read(self, index: int) -> Sample:
        with naming(lambda: self.dataset.describe(index)):
            sample = self.dataset.whole(index)
        if sample.lq is None:
            raise DataError(
                f"{self.name}: {sample.key} has no LQ image to upscale. Validate with a dataset that gives LQ images."
            )
        return sample

    def _at_once(self, sample: Sample) -> int:
        """Return how many such images are computed together. Clips and images in tiles are computed one by one."""
        height, width = _shape(sample)[-3:-1]
        is_single = self.tile_size or self.has_little_memory or len(_shape(sample)) == 4
        return 1 if is_single else self.runtime.at_once(height * width)

    def _finish(
        self, scores: Scores, upscale: Upscaler, samples: dict[int, Sample], keep: Callable[[str, np.ndarray], None]
    ) -> None:
        """Upscale and score samples of one size, given by their places, and empty the dictionary."""
        if not samples:
            return
        lq = np.stack([sample.lq for sample in samples.values() if sample.lq is not None])
        outputs = self._upscaled(upscale, lq)
        for (place, sample), output in zip(samples.items(), outputs, strict=True):
            for still, one in self._stills(sample, output):
                scores.places[still.key] = place
                keep(still.key, to_image(one))
                self._score(scores, still, one)
        samples.clear()

    def halve_tiles(self) -> bool:
        """Go on in tiles half as large as the tiles, or the image, before; False when they are too small for that."""
        self.has_little_memory = True
        smaller = (self.tile_size or self._longest) // 2
        if smaller < SMALLEST_TILE:
            return False
        self.tile_size = smaller
        return True

    def agree_on_tiles(self, sizes: Sequence[int]) -> None:
        """Take the smallest tiles that any rank takes: the score of an image must not depend on who scores it."""
        smallest = min((size for size in sizes if size), default=0)
        self.has_little_memory = self.has_little_memory or smallest != self.tile_size
        self.tile_size = smallest

    @property
    def is_sequential(self) -> bool:
        """Whether a metric compares an image with the one before, so that one process has to score all."""
        return any("previous_output" in call.required for call in self._calls.values())

    def _stills(self, sample: Sample, output: Tensor) -> list[tuple[Sample, Tensor]]:
        """Return the sample with its output, 3, H, W; of a clip, the middle frame or every one, as many as are made."""
        assert sample.lq is not None
        makes_one = output.ndim == 3 and (sample.gt is None or sample.gt.ndim == 3)
        is_still = sample.lq.ndim == 3 or makes_one
        stills = [replace(sample, lq=sample.middle)] if is_still else frames(self.name, sample)
        outputs = list(output) if output.ndim == 4 else [output]
        if len(stills) != len(outputs):
            raise DataError(
                f"{self.name}: {sample.key} has {len(stills)} images, and {len(outputs)} were made of them."
            )
        return list(zip(stills, outputs, strict=True))

    def output(self, upscale: Upscaler, lq: np.ndarray) -> np.ndarray:
        """Upscale one image or clip of any size: [T,] H, W, 3 uint8 or uint16 to [T,] sH, sW, 3 uint8."""
        return to_image(self._upscaled(upscale, lq[None])[0])

    def _upscaled(self, upscale: Upscaler, lq: np.ndarray) -> Tensor:
        """Upscale B, [T,] H, W, 3 uint8 or uint16 to B, [T,] 3, sH, sW around [0, 1]."""
        self._longest = max(lq.shape[-3:-1])
        images = self.runtime.to_float(torch.from_numpy(lq))
        read = self.tile_size + 2 * self.tile_overlap
        at_once = 1 if self.has_little_memory else self.runtime.at_once(read * read)
        tiling = Tiling(self.tile_size, self.tile_overlap, at_once)
        return upscale_image(upscale, images, self.scale, self.traits, tiling)

    def _score(self, scores: Scores, sample: Sample, upscaled: Tensor) -> None:
        """Score one output, 3, H, W. One that is not finite has NaN scores: as an image it would pass for black."""
        values: dict[str, float] = {}
        levels, is_finite = to_levels(upscaled), bool(torch.isfinite(upscaled).all())
        output = levels.cpu().numpy()
        target = None if sample.gt is None else to_eight_bits(sample.gt)
        there = None
        if target is not None and self.runtime.scores_images:
            there = levels, torch.from_numpy(target).to(levels.device)
        before = self._last if self._last and self._last.key == sample.previous else None
        for name in self._computable(target, before):
            made = before and before.output
            values[name] = self._measure(name, sample, output, target, made, there) if is_finite else math.nan
        if self.measures_drift:
            values |= self._drift(sample, upscaled)
        bicubic = None
        if target is not None and sample.key not in self._bicubic:
            bicubic = self._score_bicubic(sample, target, before)
        self._last = Made(sample.key, output, target, bicubic)
        if target is not None and sample.key in self._references:
            scores.strips[sample.key] = strip(*self._references[sample.key], center(output), center(target))
        scores.images[sample.key] = values | self._bicubic.get(sample.key, {})
        if sample.lq is not None and sample.lq.dtype == np.uint16:
            scores.deep.append(sample.key)

    def _computable(self, target: np.ndarray | None, before: Made | None) -> list[str]:
        """Return the metrics that have what they ask for: the ground truth, the frame before."""
        return [
            name
            for name, metric in self.metrics.items()
            if (target is not None or not metric.needs_target)
            and (before is not None or "previous_output" not in self._calls[name].required)
        ]

    def _drift(self, sample: Sample, upscaled: Tensor) -> dict[str, float]:
        assert sample.lq is not None
        lq = self.runtime.to_float(torch.from_numpy(sample.lq).unsqueeze(0))[0]
        target = None if sample.gt is None else self.runtime.to_float(torch.from_numpy(sample.gt).unsqueeze(0))[0]
        return drift(upscaled.float(), lq, target, self.scale)

    def _score_bicubic(self, sample: Sample, target: np.ndarray, before: Made | None) -> np.ndarray:
        """Score bicubic upscaling of one image, once, and return it; of the first few, keep what the strips show."""
        assert sample.lq is not None
        bicubic = to_eight_bits(imresize(sample.lq, size=target.shape[:2]))
        made = before and before.bicubic
        self._bicubic[sample.key] = {
            f"{name}_bicubic": self._measure(name, sample, bicubic, target, made)
            for name in self._computable(target, before if made is not None else None)
        }
        if len(self._references) < STRIP_COUNT:
            enlarged = to_eight_bits(sample.lq).repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            self._references[sample.key] = [center(enlarged), center(bicubic)]
            if self.before:
                self._references[sample.key].append(center(self.output(self.before, sample.lq)))
        return bicubic

    def _measure(
        self,
        name: str,
        sample: Sample,
        output: np.ndarray,
        target: np.ndarray | None,
        made: np.ndarray | None,
        there: tuple[Tensor, Tensor] | None = None,
    ) -> float:
        """Return a score.

        `made` is what was made of the frame before in the same way as `output`; `there` are output and target on the
        device, where that scores them.
        """
        call = self._calls[name]
        lq = to_eight_bits(sample.lq) if sample.lq is not None and "lq" in call.asked else None
        target_before = self._last.target if made is not None and self._last else None
        score = partial(call, output=output, target=target, lq=lq, previous_output=made, previous_target=target_before)
        on_device = getattr(self.metrics[name], "on_device", None) if there else None
        try:
            return self._with_memory(name, score, partial(on_device, *there) if there and on_device else None)
        except ValueError as error:
            raise MetricError(f"{self.name}: {name} cannot be computed for {sample.key}: {error}") from None

    def _with_memory(self, name: str, score: Callable[[], float], on_device: Callable[[], float] | None) -> float:
        """Return a score; where the device has no memory for what a metric needs, the CPU computes it from now on."""
        network = network_of(self.metrics[name])
        if name in self._on_cpu or (network is None and on_device is None):
            return score()
        try:
            return (on_device or score)()
        except RuntimeError as error:
            if not self.runtime.ran_out_of_memory(error):
                raise
        self._on_cpu.add(name)
        if network is not None:
            network.cpu()
        self.runtime.release_memory()
        return score()


def network_of(metric: Metric) -> nn.Module | None:
    """Return the network that a metric looks through, if it has one."""
    network = getattr(metric, "network", None)
    return network if isinstance(network, nn.Module) else None


def _shape(sample: Sample) -> tuple[int, ...]:
    assert sample.lq is not None
    return sample.lq.shape


def frames(name: str, clip: Sample) -> list[Sample]:
    """Return every frame of a clip as a separate sample: `clip/0000`, `clip/0001` … Raises `DataError`."""
    assert clip.lq is not None
    targets = [None] * len(clip.lq) if clip.gt is None else list(clip.gt)
    if len(targets) != len(clip.lq):
        raise DataError(f"{name}: {clip.key} has {len(clip.lq)} LQ frames and {len(targets)} of the ground truth.")
    keys = [f"{clip.key}/{number:04}" for number in range(len(targets))]
    found = zip(clip.lq, targets, keys, ["", *keys], strict=False)
    return [Sample(lq, gt, key, previous=previous) for lq, gt, key, previous in found]


def to_image(output: Tensor) -> np.ndarray:
    """Turn one network output, [T,] 3, H, W around [0, 1], into [T,] H, W, 3 uint8: clamped and rounded."""
    return to_levels(output).cpu().numpy()


def to_levels(output: Tensor) -> Tensor:
    """Do the same, and leave the result where it is."""
    levels = output.float().nan_to_num(0.0).clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.movedim(-3, -1).contiguous()


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """Return an image as uint8; 16-bit levels are rounded to the nearest 8-bit one (65535 is 255)."""
    if image.dtype == np.uint8:
        return image
    return np.round(image.astype(np.float64) / 257).astype(np.uint8)


def center(image: np.ndarray) -> np.ndarray:
    """Return a copy of the central part of an image, the same every time: what a strip shows."""
    top, left = (max(0, (side - STRIP_SIZE) // 2) for side in image.shape[:2])
    return image[top : top + STRIP_SIZE, left : left + STRIP_SIZE].copy()


def strip(*crops: np.ndarray) -> np.ndarray:
    """Return crops of one size (LR, bicubic, output, ground truth) side by side."""
    gap = np.full((crops[0].shape[0], 4, 3), 255, np.uint8)
    return np.concatenate([part for crop in crops for part in (crop, gap)][:-1], axis=1)
