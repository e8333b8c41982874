"""What can be tried before a run: the network, every loss and every metric, once, on synthetic images."""

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traiNNer.batch import Batch, ImageSet
from traiNNer.config.options import CommonOptions, TrainOptions
from traiNNer.errors import ConfigError, DataError
from traiNNer.losses.weighted import WeightedLosses
from traiNNer.metrics.protocol import named_call
from traiNNer.registry import ARCHS, LOSSES
from traiNNer.run.averages import average_iter
from traiNNer.run.build import attempt, build_loss, build_losses, build_metrics, clip_frames, model_of
from traiNNer.utils.plugin_files import place_of
from traiNNer.utils.upscaling import Tiling, upscale_image

USUAL_CROP = 32
SMALL = 64
"""LQ pixels; larger images are stood in for by ones up to twice as large."""


def check_network(network: nn.Module, options: CommonOptions, sets: dict[str, ImageSet]) -> None:
    """Send synthetic images through a copy of the network: a training crop, and the smallest image of every other set.

    A copy: what a forward does to running statistics must not reach the run.

    Raises:
        ConfigError: the network raises, or does not make images `scale` times as large.
    """
    copy, scale = deepcopy(network), options.scale
    if "train" in sets:
        side = crop_side(options, sets["train"])
        _try_network(copy.train(), options, (2, 3, side, side), "crops")
    traits, tiling = ARCHS[options.network_g.type].traits, Tiling(options.val.tile_size, options.val.tile_overlap)
    copy.eval()
    for key, dataset in sets.items():
        if not key.startswith("train"):
            height, width = (_stand_in(max(1, side // scale)) for side in _smallest_output(dataset))
            upscale = partial(upscale_image, copy, scale=scale, traits=traits, tiling=tiling)
            _try_network(upscale, options, (1, 3, height, width), f"images (datasets.{key})")


def crop_side(options: CommonOptions, train_set: ImageSet) -> int:
    """Return the side of the training crops in LQ pixels; of a dataset that does not say, a usual one that fits."""
    return train_set.crop_size or ARCHS[options.network_g.type].traits.fitting(USUAL_CROP)


def _try_network(
    upscale: Callable[[Tensor], Tensor], options: CommonOptions, shape: tuple[int, int, int, int], title: str
) -> None:
    images, channels, height, width = shape
    lq = synthetic_images(shape, clip_frames(options), torch.Generator().manual_seed(0))
    # What an untrained network warns of says nothing about the run, and what it draws must not move the run's own.
    with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = f"network_g: {options.network_g.type}"
        output = attempt(name, lambda: upscale(lq), f"cannot process {width} x {height} {title}")
    if not isinstance(output, Tensor):
        raise ConfigError(f"{name} must return a tensor, not {type(output).__name__}")
    if tuple(output.shape) != (images, channels, height * options.scale, width * options.scale):
        made = output.shape[-1] / width
        raise ConfigError(
            f"{name} makes {made:g}x images, `scale` says {options.scale} ({tuple(shape)} gave {tuple(output.shape)})"
        )


def synthetic_images(shape: tuple[int, int, int, int], frames: int, random: torch.Generator) -> Tensor:
    """Return B, 3, H, W images, or B, frames, 3, H, W clips for a network of clips."""
    images, *rest = shape
    return torch.rand(shape if frames == 1 else (images, frames, *rest), generator=random)


def _stand_in(side: int) -> int:
    """Return a side that costs little and has the same remainder of division by 2, 4 … `SMALL` as a large one."""
    return side if side < 2 * SMALL else SMALL + side % SMALL


def _smallest_output(dataset: ImageSet) -> tuple[int, int]:
    """Return height and width of the smallest output of a set, in HR pixels."""
    return dataset.smallest_output() or (64, 64)


def check_losses(options: TrainOptions, train_set: ImageSet) -> None:
    """Compute every loss once on a synthetic pair. Raises `ConfigError` for one that breaks the contract."""
    side = crop_side(options, train_set) * options.scale
    random = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 2, 3, side, side, generator=random)
    lq = torch.rand(2, 3, side // options.scale, side // options.scale, generator=random)
    # What a training step offers; a loss may ask for the rest of it, too.
    rest = {"lq": lq, "output_ema": (lambda: target) if average_iter(options.train) else None, "iteration": 1}
    for place, choice in enumerate(options.train.losses):
        if LOSSES[choice.type].traits.adversarial:
            continue  # it asks for the discriminator, so it is tried with the model
        title = f"train.losses[{place}] {choice.type}"
        loss = attempt(title, lambda choice=choice: build_loss(options, choice))
        losses = attempt(title, lambda loss=loss, name=choice.type: WeightedLosses([(name, loss, 1.0)]))
        terms = attempt(title, lambda losses=losses: losses(output.requires_grad_(), target, **rest))
        if not all(term.requires_grad for term in terms.values()):
            raise ConfigError(f"{title}: its value has no gradient for the output, so nothing could be learned from it")


def check_model(options: TrainOptions, networks: Mapping[str, nn.Module], train_set: ImageSet) -> None:
    """Compute the phases of a model of the option file once, on copies of its networks and synthetic crops.

    Raises:
        ConfigError: the model or one of its networks raises, a phase names no learner, or a term has no gradient.
    """
    if options.model is None:
        return  # the restoration model is the network and the losses, which are checked by themselves
    title, side = f"model: {options.model.type}", crop_side(options, train_set)
    random = torch.Generator().manual_seed(0)
    lq = synthetic_images((2, 3, side, side), clip_frames(options), random)
    gt = torch.rand(2, 3, side * options.scale, side * options.scale, generator=random)
    copies = {name: deepcopy(network).train() for name, network in networks.items()}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_of(options, copies, dict(copies), build_losses(options))
        batch = Batch(lq, gt, ("synthetic 0", "synthetic 1"), seeds=(0, 1))
        phases = attempt(title, lambda: list(model.phases(batch, 1)), "cannot compute a training step")
    for phase in phases:
        if phase.learner not in networks:
            raise ConfigError(f"{title}: a phase trains '{phase.learner}'; known: {', '.join(networks)}")
        if not _reaches(phase.total(), copies[phase.learner]):
            raise ConfigError(f"{title}: the losses of a phase of {phase.learner} have no gradient for its parameters")


def _reaches(loss: Tensor, network: nn.Module) -> bool:
    """Whether any trained parameter of a network gets a gradient from a loss."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not (loss.requires_grad and trained):
        return False
    return any(gradient is not None for gradient in torch.autograd.grad(loss, trained, allow_unused=True))


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
    calls = {
        name: attempt(f"val.metrics.{name}", partial(named_call, name, metric)) for name, metric in metrics.items()
    }
    idle = [name for name, metric in metrics.items() if metric.needs_target and not dataset.has_gt]
    lone = [name for name, call in calls.items() if "previous_output" in call.required and not dataset.is_film]
    height, width = _smallest_output(dataset)
    random = np.random.default_rng(0)
    output, target = random.integers(0, 256, (2, height, width, 3), np.uint8)
    lq = random.integers(0, 256, (-(-height // scale), -(-width // scale), 3), np.uint8)
    images = {"output": output, "target": target if dataset.has_gt else None, "lq": lq}
    images |= {"previous_output": images["output"], "previous_target": images["target"]}
    for name, call in calls.items():
        if name not in (*idle, *lone):
            try:
                score = call(**images)
            except ValueError as error:
                raise DataError(f"{title}: {name} cannot be computed for its smallest image: {error}") from None
            except Exception as error:
                raise ConfigError(f"metric {name}: {type(error).__name__}: {error} ({place_of(error)})") from None
            if not isinstance(score, float | int):
                raise ConfigError(f"metric {name} must return one number, not {type(score).__name__}")
    return [
        f"{title} {lack}: {', '.join(names)} cannot be computed"
        for names, lack in ((idle, "has no ground truth"), (lone, "has single images, not the frames of a film"))
        if names
    ]
