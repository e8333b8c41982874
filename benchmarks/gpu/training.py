"""Small trainings for the checks and the speed table of a device: a network with all that trains it, and its images."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer import build_network
from traiNNer.batch import Batch, BatchPlan
from traiNNer.engine.control.knobs import MICRO_BATCH, Knobs
from traiNNer.engine.learner import Learner
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.snapshot import Snapshot
from traiNNer.engine.step import Stepper
from traiNNer.engine.training import Training
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.engine.window import NonfiniteWatch
from traiNNer.models.protocol import MAIN
from traiNNer.models.restoration import RestorationModel
from traiNNer.optim.optimizers import build_optimizer

SCALE = 2
TINY = {"arch": "paragonsr2", "num_feat": 16, "num_groups": 1, "num_blocks": 2, "band_kernel_size": 3}


class Quiet:
    """A log that remembers warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn_all(self, texts: list[str]) -> None:
        """Remember them."""
        self.warnings += texts


def l1(output: Tensor, target: Tensor, **_: Any) -> dict[str, Tensor]:
    """Return the mean absolute difference."""
    return {"l1": (output - target).abs().mean()}


def images(count: int, side: int, seed: int = 0) -> Batch:
    """Return pairs as the loader gives them: smooth random GT and its mean, B, H, W, 3 uint8, pinned where it helps."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, max(2, side // 4), max(2, side // 4), generator=random)
    gt = F.interpolate(coarse, size=(side * SCALE,) * 2, mode="bicubic").clamp(0, 1)
    small, large = ((x * 255).round().byte().permute(0, 2, 3, 1).contiguous() for x in (F.avg_pool2d(gt, SCALE), gt))
    batch = Batch(small, large, tuple(map(str, range(count))))
    return batch.pin_memory() if torch.cuda.is_available() else batch


def training_of(
    device: torch.device,
    network: dict[str, Any] | nn.Module | None = None,
    batch: int = 8,
    optimizer: str = "AdamW",
    rate: float = 2e-4,
    retries: bool = False,
    **runtime: Any,
) -> Training:
    """Return a training with an EMA on a device, from seeded weights.

    Args:
        device: where.
        network: arch and options, or a module; the tiny ParagonSR2 by default.
        batch: images of a micro-batch at the start.
        optimizer: by name.
        rate: learning rate.
        retries: whether a step that runs out of memory is done again in halves.
        **runtime: precision, memory format and so on, as `Runtime` takes them.
    """
    torch.manual_seed(0)
    given = TINY if network is None else network
    module = given if isinstance(given, nn.Module) else build_network(scale=SCALE, **given)
    at, knobs = Runtime(device, "", **runtime), Knobs(batch_size=batch)
    at.place(module)
    update = build_optimizer(optimizer, {"lr": rate}, module.parameters())
    learner = Learner(MAIN, module, update, lambda _: 1.0, knobs, WeightAverage(module, 0.9))
    model = RestorationModel({MAIN: at.upscaler(module)}, {}, l1)
    stepper = Stepper(model, {MAIN: learner}, at, knobs, on_out_of_memory=halving(knobs) if retries else None)
    learners = {MAIN: learner}
    watch: Any = NonfiniteWatch(limit=100, inspect_every=10_000)
    book: Any = Quiet()
    return Training(at, stepper, Snapshot(learners, model), watch, book, BatchPlan(batch))


def halving(knobs: Knobs) -> Callable[[], bool]:
    """Return what halves the micro-batch, and whether that was possible."""

    def halve() -> bool:
        before = knobs[MICRO_BATCH].value
        knobs[MICRO_BATCH].set(math.ceil(before / 2), 0)
        return before > 1

    return halve


def losses(training: Training, steps: int, count: int = 8, side: int = 16) -> list[float]:
    """Train on the same few batches in turn; return the loss of every step."""
    batches = [images(count, side, seed) for seed in range(4)]
    reports = [training.advance([batches[step % 4]]) for step in range(steps)]
    return [report.main.terms["l1"].item() for report in reports if report.main]
