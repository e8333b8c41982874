"""A run that is stepped by hand: the very objects that train.py builds, without its log and files."""

import gc
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from traiNNer.batch import Batch, ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.evaluation.evaluation import Evaluation
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.errors import TrainingDiverged
from traiNNer.measuring.subsets import Few
from traiNNer.models.protocol import MAIN
from traiNNer.registry import ARCHS, METRICS
from traiNNer.run.assemble import assemble_training
from traiNNer.run.build import build_loader, build_networks

SCORED, SCORED_SIDE = 8, 96
"""Held-out images that a trial is judged by, and the side of the part of each in LQ pixels."""


class Bench:
    """One run at its first iteration.

    Args:
        options: of the run; its name and folders are never used.
        sets: the opened image sets by key.
    """

    def __init__(self, options: TrainOptions, sets: dict[str, ImageSet]) -> None:
        self.options = options
        self.sets = sets
        self.runtime, _ = start_runtime(options)
        # A step that is split to fit has not fitted.
        self.training = assemble_training(
            options, self.runtime, build_networks(options), sets["train"], Logbook(quiet=True), may_split=False
        )
        self._stream: Iterator[tuple[Batch, ...]] | None = None
        self._loader: Any = None
        self.waited_s = 0.0
        self.trained, self.trained_s = 0, 0.0

    def activate(self) -> None:
        """Set the global switches of this run again, after those of another."""
        start_runtime(self.options)

    def step(self, batches: Sequence[Batch]) -> float:
        """Train one iteration and return the sum of the loss terms; waits until the device is done."""
        report = self.training.advance(batches)
        return sum(float(term) for update in report.updates.values() for term in update.terms.values())

    def train(self, iterations: int) -> float:
        """Train on the run's own images. Returns the seconds that it took, data included; NaN when it diverged."""
        if self._stream is None:
            self._loader = build_loader(self.options, self.sets["train"], self.runtime)
            self._stream = iter(self._loader)
        started = time.perf_counter()
        try:
            losses = [self.step(self._next()) for _ in range(iterations)]
        except TrainingDiverged:
            return math.nan
        seconds = time.perf_counter() - started
        self.trained += iterations
        self.trained_s += seconds
        return seconds if math.isfinite(losses[-1]) else math.nan

    def _next(self) -> tuple[Batch, ...]:
        assert self._stream is not None
        started = time.perf_counter()
        batches = next(self._stream)
        self.waited_s += time.perf_counter() - started
        return batches

    def score(self) -> float:
        """Return the PSNR of the EMA weights on parts of the held-out images, in dB."""
        held_out = next(dataset for key, dataset in self.sets.items() if key.startswith("val"))
        metric = {"psnr": METRICS.build("psnr", {}, scale=self.options.scale)}
        network = self.training.learners[MAIN].shipped
        few = Few(held_out, SCORED, self.options.scale, SCORED_SIDE)
        traits = ARCHS[self.options.network_g.type].traits
        evaluation = Evaluation("held out", few, metric, self.options.scale, self.runtime, traits=traits)
        with evaluating(network):
            return evaluation.run(self.runtime.upscaler(network)).mean()["psnr"]

    def close(self) -> None:
        """End the data workers, if there are any."""
        if self._loader is not None:
            self._loader.close()
        self._stream = self._loader = None

    def free(self) -> None:
        """Let go of what trains, so that a caller's name for the bench, or a traceback, keeps no memory alive."""
        self.close()
        del self.training, self.sets


def release(options: TrainOptions, *benches: Bench) -> None:
    """Free what benches hold: they refer to themselves, so that only a collection frees them."""
    for bench in benches:
        bench.free()
    gc.collect()
    start_runtime(options)[0].release_memory()


def synthetic_batches(options: TrainOptions, size: int | None = None, seed: int = 0) -> tuple[Batch, ...]:
    """Return one iteration's micro-batches of smooth random crops, as a loader gives them: B, H, W, 3 uint8.

    `size` images in each; by default as the options say. GT is made first and LQ is its average, so that losses are
    of the order of those of photos.
    """
    data = options.datasets["train"]
    side = data.get("lq_size") or data.options.gt_size // options.scale
    images = size or data.batch_size_per_gpu
    random = torch.Generator().manual_seed(seed)

    def make() -> Batch:
        coarse = torch.rand(images, 3, max(2, side // 4), max(2, side // 4), generator=random)
        gt = F.interpolate(coarse, size=(side * options.scale,) * 2, mode="bicubic").clamp(0, 1)
        lq = F.avg_pool2d(gt, options.scale)
        small, large = ((x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous() for x in (lq, gt))
        return Batch(small, large, tuple(f"synthetic {place}" for place in range(images)), seeds=tuple(range(images)))

    return tuple(make() for _ in range(data.accum_iter))
