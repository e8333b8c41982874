"""Scores of a network on one set of whole images, with bicubic upscaling beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from traiNNer.batch import ImageSet, Sample
from traiNNer.engine.runtime import Runtime
from traiNNer.errors import DataError
from traiNNer.metrics.protocol import Metric
from traiNNer.models.protocol import Upscaler
from traiNNer.utils.images import write_image
from traiNNer.utils.resize import imresize
from traiNNer.utils.tiles import run_tiled

STRIP_SIZE = 128
STRIP_COUNT = 4


class EvaluationStopped(Exception):
    """A stop signal arrived between two images."""


@dataclass
class Scores:
    """Results on one set: `images[key][name]` and their plain mean, named `psnr`, `psnr_bicubic` and so on."""

    images: dict[str, dict[str, float]] = field(default_factory=dict)
    strips: dict[str, np.ndarray] = field(default_factory=dict)

    def mean(self) -> dict[str, float]:
        """Return the mean over the images of every score."""
        names = {name: None for values in self.images.values() for name in values}
        return {name: float(np.mean([values[name] for values in self.images.values()])) for name in names}


class Evaluation:
    """One set of images, the metrics to compute on it, and how outputs are made and saved."""

    def __init__(
        self,
        name: str,
        dataset: ImageSet,
        metrics: Mapping[str, Metric],
        scale: int,
        runtime: Runtime,
        tile_size: int = 0,
        tile_overlap: int = 0,
    ) -> None:
        self.name = name
        self.dataset = dataset
        self.metrics = metrics
        self.scale = scale
        self.runtime = runtime
        self.tile_size = tile_size
        self.tile_overlap = tile_overlap
        self._bicubic: dict[str, dict[str, float]] = {}

    def run(
        self,
        upscale: Upscaler,
        place: Callable[[str], Path] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Scores:
        """Upscale and score every image; all randomness is as before afterwards.

        Args:
            upscale: the network, in evaluation mode.
            place: where to write the output of an image, by key; None writes nothing.
            should_stop: asked before every image; raises `EvaluationStopped` when it says so.
        """
        scores = Scores()
        with self.runtime.undisturbed():
            for index in range(len(self.dataset)):
                if should_stop():
                    raise EvaluationStopped
                sample = self.dataset.whole(index)
                output = self._output(upscale, sample.lq)
                if place:
                    write_image(place(sample.key), output)
                self._score(scores, sample, output)
        return scores

    def _output(self, upscale: Upscaler, lq: np.ndarray) -> np.ndarray:
        images = self.runtime.to_float(torch.from_numpy(lq).unsqueeze(0))
        if self.tile_size:
            return to_image(run_tiled(upscale, images, self.scale, self.tile_size, self.tile_overlap))
        return to_image(upscale(images))

    def _score(self, scores: Scores, sample: Sample, output: np.ndarray) -> None:
        values: dict[str, float] = {}
        target = None if sample.gt is None else to_eight_bits(sample.gt)
        first = len(scores.strips) < STRIP_COUNT
        for name, metric in self.metrics.items():
            if target is not None or not metric.needs_target:
                values[name] = self._measure(name, sample.key, output, target)
        if target is not None and (first or sample.key not in self._bicubic):
            bicubic = to_eight_bits(imresize(sample.lq, size=target.shape[:2]))
            if sample.key not in self._bicubic:
                self._bicubic[sample.key] = {
                    f"{name}_bicubic": self._measure(name, sample.key, bicubic, target) for name in self.metrics
                }
            if first:
                scores.strips[sample.key] = strip(to_eight_bits(sample.lq), bicubic, output, target)
        scores.images[sample.key] = values | self._bicubic.get(sample.key, {})

    def _measure(self, name: str, key: str, output: np.ndarray, target: np.ndarray | None) -> float:
        try:
            return self.metrics[name](output, target)
        except ValueError as error:
            raise DataError(f"{self.name}: {name} cannot be computed for {key}: {error}") from None


def to_image(output: Tensor) -> np.ndarray:
    """Turn one network output, 1, 3, H, W around [0, 1], into an H, W, 3 uint8 image: clamped and rounded."""
    levels = output[0].float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """Return an image as uint8; 16-bit levels are rounded to the nearest 8-bit one (65535 is 255)."""
    if image.dtype == np.uint8:
        return image
    return np.round(image.astype(np.float64) / 257).astype(np.uint8)


def strip(lq: np.ndarray, bicubic: np.ndarray, output: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Return LR, bicubic, output and ground truth side by side: the same central crop every time."""
    scale = gt.shape[0] // lq.shape[0]
    enlarged = lq.repeat(scale, axis=0).repeat(scale, axis=1)
    top, left = (max(0, (side - STRIP_SIZE) // 2) for side in gt.shape[:2])
    crops = [image[top : top + STRIP_SIZE, left : left + STRIP_SIZE] for image in (enlarged, bicubic, output, gt)]
    gap = np.full((crops[0].shape[0], 4, 3), 255, np.uint8)
    return np.concatenate([part for crop in crops for part in (crop, gap)][:-1], axis=1)
