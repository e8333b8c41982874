"""The training automations of a run: which are active, the knobs they move, and what they know of the run."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from inspect import isclass
from itertools import chain
from typing import Any

import torch
from torch import nn

from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.config.choice import AutomationChoice
from traiNNer.config.options import TrainOptions
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Direction, RunStarted
from traiNNer.engine.control.host import AutomationHost
from traiNNer.engine.control.knobs import GRAD_CLIP, Knobs
from traiNNer.engine.learner import knob_prefix
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.reference import BicubicReference
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.losses.weighted import WeightedLosses, log_names
from traiNNer.optim.schedules import Schedule
from traiNNer.registry import AUTOMATIONS, LOSSES, MODELS
from traiNNer.run.build import attempt, build_schedule, directions, network_choices


def chosen_automations(options: TrainOptions) -> dict[str, AutomationChoice]:
    """Return the automations that are switched on, by name."""
    section = options.train.training_automations
    return section.active() if section else {}


def plain_options(options: TrainOptions) -> dict[str, dict[str, Any]]:
    """Return the options of every automation that is switched on as plain values, by its name."""
    return {name: choice.plain() for name, choice in chosen_automations(options).items()}


def build_automations(options: TrainOptions) -> dict[str, Automation]:
    """Build the automations that are switched on. Raises `ConfigError` for one of a plugin that is none."""
    automations = {}
    for name, choice in chosen_automations(options).items():
        title = f"train.training_automations.{name}"
        automation = attempt(title, lambda c=choice: AUTOMATIONS.build(c.type, c.options))
        if not isinstance(automation, Automation):
            raise ConfigError(f"{title}: must be derived from traiNNer.engine.control.automation.Automation")
        automations[name] = automation
    return automations


def build_knobs(options: TrainOptions) -> Knobs:
    """Return the knobs at the values of the option file."""
    train, section = options.train, options.train.training_automations
    start = {GRAD_CLIP: train.grad_clip_max_norm}
    for choice in section.disabled().values() if section else ():
        start |= hooks_of(choice).knobs_when_disabled(choice.options)
    if not train.grad_clip:
        start[GRAD_CLIP] = math.inf
    names = tuple(log_names([choice.type for choice in train.losses]))
    prefixes = tuple(knob_prefix(name) for name in network_choices(options))
    knobs = Knobs(start.pop(GRAD_CLIP), options.datasets["train"].batch_size_per_gpu, names, prefixes)
    knobs.update({name: replace(knobs[name], value=value) for name, value in start.items()})
    return knobs


def hooks_of(choice: AutomationChoice) -> type[Automation]:
    """Return the class of an automation; a plugin's factory function has the hooks that do nothing."""
    builder = AUTOMATIONS[choice.type].builder
    return builder if isclass(builder) and issubclass(builder, Automation) else Automation


def watched_loss(options: TrainOptions) -> int | None:
    """Return the place of the first pixel loss, which bicubic upscaling can be measured by; None without one."""
    losses = options.train.losses
    kinds = [bool(LOSSES[choice.type].traits.pixel and choice.loss_weight) for choice in losses]
    return kinds.index(True) if True in kinds else None


def build_reference(options: TrainOptions, losses: WeightedLosses) -> BicubicReference | None:
    """Return what measures bicubic upscaling on every batch; None without an automation or without a pixel loss."""
    place = watched_loss(options)
    if place is None or not chosen_automations(options):
        return None
    if not {"output", "target"}.issuperset(losses.calls[place].required):
        return None
    weight = list(losses.weights.values())[place]
    return BicubicReference(losses.calls[place], options.scale, weight)


def build_host(
    options: TrainOptions,
    knobs: Knobs,
    networks: Iterable[nn.Module],
    losses: WeightedLosses,
    train_set: ImageSet,
    runtime: Runtime,
    book: Logbook,
    actions: Mapping[type, Callable[[Any], bool | None]],
    plan: BatchPlan,
    learning_rate: Callable[[int], float],
    ending: Schedule | None = None,
) -> AutomationHost | None:
    """Build the host with its automations; None when none is active."""
    automations = build_automations(options)
    if not automations:
        return None
    section = options.train.training_automations
    run = describe_run(options, networks, losses, train_set, runtime, ending)
    return AutomationHost(
        automations,
        run,
        knobs,
        runtime,
        book,
        actions,
        plan,
        learning_rate,
        plain_options(options),
        strict=bool(section and section.strict),
        shadow=bool(section and section.shadow),
    )


def describe_run(
    options: TrainOptions,
    networks: Iterable[nn.Module],
    losses: WeightedLosses,
    train_set: ImageSet,
    runtime: Runtime,
    ending: Schedule | None = None,
) -> RunStarted:
    """Return what the automations know about the run."""
    train, data = options.train, options.datasets["train"]
    place = watched_loss(options)
    batch = data.batch_size_per_gpu * data.accum_iter * runtime.world
    return RunStarted(
        total_iter=train.total_iter,
        batch_size=data.batch_size_per_gpu,
        warmup_iter=train.warmup_iter,
        epoch_iter=len(train_set) * data.dataset_enlarge_ratio / batch,
        val_freq=options.val.val_freq if options.val.val_enabled else None,
        optimizer=train.optim_g.type,
        base_lr=train.optim_g.options.lr,
        losses=losses.weights,
        anchor=None if place is None else list(losses.weights)[place],
        metrics=monitored(options),
        schedule=build_schedule(options, ending=ending),
        has_schedule=train.scheduler is not None or ending is not None,
        is_clipping=train.grad_clip,
        has_memory=runtime.has_memory,
        coupled_by=coupled_by(options, networks),
        is_compiled=options.use_compile,
    )


def monitored(options: TrainOptions) -> dict[str, Direction]:
    """Return every score that validation computes with its better direction: `val/psnr`, then each set's own."""
    if not options.val.val_enabled:
        return {}
    titles = [choice.name or key for key, choice in options.datasets.items() if key != "train"]
    found = directions(options)
    return {f"{title}/{metric}": way for title in ("val", *titles) for metric, way in found.items()}


def own_best(options: TrainOptions) -> dict[str, Direction]:
    """Return the scores of single sets that an automation watches: their best weights are kept too."""
    chosen = chosen_automations(options).values()
    watched = {score for choice in chosen for score in hooks_of(choice).watched_scores(choice.options)}
    return {name: way for name, way in monitored(options).items() if name in watched and not name.startswith("val/")}


def coupled_by(options: TrainOptions, networks: Iterable[nn.Module]) -> str:
    """Return why a batch in micro-batches would not give the gradients of the whole; empty where it does."""
    modules = chain.from_iterable(network.modules() for network in networks)
    if any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in modules):
        return "batch statistics"
    components = [LOSSES[choice.type] for choice in options.train.losses]
    components += [MODELS[options.model.type]] if options.model else []
    coupling = dict.fromkeys(component.name for component in components if not component.traits.separable)
    return f"{', '.join(coupling)}: not declared separable" if coupling else ""
