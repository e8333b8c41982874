"""What can be tried before a run: the network, every loss and every metric, once, on synthetic images."""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from traiNNer.batch import ImageSet
from traiNNer.build import attempt, build_loss, build_metrics, place_of
from traiNNer.config.options import CommonOptions, TrainOptions
from traiNNer.engine.runtime import is_out_of_memory
from traiNNer.errors import ConfigError, DataError
from traiNNer.losses.weighted import WeightedLosses
from traiNNer.metrics.protocol import named_call


def check_shapes(network: nn.Module, options: CommonOptions) -> None:
    """Send one synthetic batch through a copy of the network. Raises `ConfigError` when the output size is not scale x.

    A copy in training mode: what a forward does to running statistics must not reach the run.
    """
    train = options.datasets.get("train")
    size = (train.get("lq_size") if train else None) or 32
    lq = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            output = deepcopy(network).train()(lq)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(
            f"network_g: {options.network_g.type} cannot process {size} x {size} crops ({error})"
        ) from None
    expected = (2, 3, size * options.scale, size * options.scale)
    if tuple(output.shape) != expected:
        made = output.shape[-1] / size
        raise ConfigError(f"network_g: {options.network_g.type} makes {made:g}x images, `scale` says {options.scale}")


def check_losses(options: TrainOptions) -> None:
    """Compute every loss once on a synthetic pair. Raises `ConfigError` for one that breaks the contract."""
    side = (options.datasets["train"].get("lq_size") or 32) * options.scale
    random = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 2, 3, side, side, generator=random)
    lq = torch.rand(2, 3, side // options.scale, side // options.scale, generator=random)
    # What a training step offers; a loss may ask for the rest of it, too.
    rest = {"lq": lq, "output_ema": (lambda: target) if options.train.ema_decay else None, "iteration": 1}
    for place, choice in enumerate(options.train.losses):
        title = f"train.losses[{place}] {choice.type}"
        loss = attempt(title, lambda choice=choice: build_loss(options, choice))
        losses = attempt(title, lambda loss=loss, name=choice.type: WeightedLosses([(name, loss, 1.0)]))
        terms = attempt(title, lambda losses=losses: losses(output.requires_grad_(), target, **rest))
        if not all(term.requires_grad for term in terms.values()):
            raise ConfigError(f"{title}: its value has no gradient for the output, so nothing could be learnt from it")


def check_metrics(options: CommonOptions, sets: dict[str, ImageSet]) -> list[str]:
    """Compute every metric once on the smallest image size of every set. Returns warnings.

    Raises:
        ConfigError: a metric breaks the contract, or cannot be built.
        DataError: it cannot be computed for images as small as some are.
    """
    warnings = []
    metrics = build_metrics(options)
    for name, metric in metrics.items():
        wanted = options.val.metrics[name].better
        if wanted not in (None, metric.direction):
            warnings.append(f"val.metrics.{name}: better is '{wanted}', but of {name} {metric.direction} is better")
    for key, dataset in sets.items():
        if not key.startswith("train"):
            warnings += _check_set_metrics(f"datasets.{key}", dataset, metrics, options.scale)
    return warnings


def _check_set_metrics(title: str, dataset: ImageSet, metrics: dict[str, Any], scale: int) -> list[str]:
    idle = [name for name, metric in metrics.items() if metric.needs_target and not dataset.has_gt]
    height, width = dataset.smallest_output() or (64, 64)
    random = np.random.default_rng(0)
    output, target = random.integers(0, 256, (2, height, width, 3), np.uint8)
    lq = random.integers(0, 256, (-(-height // scale), -(-width // scale), 3), np.uint8)
    for name, metric in metrics.items():
        if name not in idle:
            try:
                score = named_call(name, metric)(output=output, target=target if dataset.has_gt else None, lq=lq)
            except ValueError as error:
                raise DataError(f"{title}: {name} cannot be computed for its smallest image: {error}") from None
            except Exception as error:
                raise ConfigError(f"metric {name}: {type(error).__name__}: {error}{place_of(error)}") from None
            if not isinstance(score, float | int):
                raise ConfigError(f"metric {name} must return one number, not {type(score).__name__}")
    return [f"{title} has no ground truth: {', '.join(idle)} cannot be computed"] if idle else []
