"""The training automations of a run: which are in force, the knobs they move, and what they are told."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn

from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.build import attempt, build_schedule, directions, network_choices
from traiNNer.config.options import TrainOptions
from traiNNer.engine.automation import Automation
from traiNNer.engine.automation_host import AutomationHost
from traiNNer.engine.events import Direction, RunStarted
from traiNNer.engine.knobs import Knobs
from traiNNer.engine.learner import knob_prefix
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.reference import BicubicReference
from traiNNer.engine.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.losses.weighted import WeightedLosses, log_names
from traiNNer.registry import AUTOMATIONS, LOSSES, MODELS

CLIPPING, BALANCE = "AdaptiveGradientClipping", "DynamicLossScheduling"


def chosen_helpers(options: TrainOptions) -> dict[str, dict[str, Any]]:
    """Return the options of every helper that is in force, by its name."""
    section, balance = options.train.training_automations, options.train.dynamic_loss_scheduling
    chosen: dict[str, dict[str, Any]] = {}
    if section and section.enabled:
        chosen = {name: choice.options for name, choice in section.helpers.items() if choice.enabled}
    if balance and balance.enabled:
        chosen[BALANCE] = balance.model_dump(mode="json")
    return chosen


def build_helpers(options: TrainOptions) -> dict[str, Automation]:
    """Build the helpers in force. Raises `ConfigError` for one of a plugin that is none."""
    helpers = {}
    for name, chosen in chosen_helpers(options).items():
        helper = attempt(f"train.training_automations.{name}", lambda n=name, c=chosen: AUTOMATIONS.build(n, c))
        if not isinstance(helper, Automation):
            raise ConfigError(
                f"train.training_automations.{name}: must be derived from traiNNer.engine.automation.Automation"
            )
        helpers[name] = helper
    return helpers


def build_knobs(options: TrainOptions) -> Knobs:
    """Return the knobs at the values of the option file."""
    train = options.train
    limit = train.grad_clip_max_norm
    section = train.training_automations
    if section and section.enabled and CLIPPING in section.helpers and not section.helpers[CLIPPING].enabled:
        # A helper that is switched off by itself leaves its fallback behind, where the file gives one.
        limit = section.helpers[CLIPPING].options["fallback"]["threshold"] or limit
    names = tuple(log_names([choice.type for choice in train.losses]))
    prefixes = tuple(knob_prefix(name) for name in network_choices(options))
    batch = options.datasets["train"].batch_size_per_gpu
    return Knobs(limit if train.grad_clip else math.inf, batch, names, prefixes)


def watched_loss(options: TrainOptions) -> int | None:
    """Return the place of the first pixel loss, which bicubic upscaling can be measured by; None without one."""
    losses = options.train.losses
    kinds = [bool(LOSSES[choice.type].traits.pixel and choice.loss_weight) for choice in losses]
    return kinds.index(True) if True in kinds else None


def build_reference(options: TrainOptions, losses: WeightedLosses) -> BicubicReference | None:
    """Return what measures bicubic upscaling on every batch; None without a helper or without a pixel loss."""
    place = watched_loss(options)
    if place is None or not chosen_helpers(options):
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
) -> AutomationHost | None:
    """Build the host with its automations; None when none is active."""
    helpers = build_helpers(options)
    if not helpers:
        return None
    section = options.train.training_automations
    run = describe_run(options, networks, losses, train_set, runtime)
    return AutomationHost(
        helpers,
        run,
        knobs,
        runtime,
        book,
        actions,
        plan,
        learning_rate,
        chosen_helpers(options),
        strict=bool(section and section.strict),
        shadow=bool(section and section.shadow),
    )


def describe_run(
    options: TrainOptions, networks: Iterable[nn.Module], losses: WeightedLosses, train_set: ImageSet, runtime: Runtime
) -> RunStarted:
    """Return what the helpers are told about the run."""
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
        base_lr=train.optim_g.options["lr"],
        losses=losses.weights,
        anchor=None if place is None else list(losses.weights)[place],
        metrics=monitored(options),
        schedule=build_schedule(options),
        has_schedule=train.scheduler is not None,
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
    """Return the scores of single sets that a helper watches: their best weights are kept too."""
    watched = [chosen.get("monitor_metric", "") for chosen in chosen_helpers(options).values()]
    return {name: way for name, way in monitored(options).items() if name in watched and not name.startswith("val/")}


def coupled_by(options: TrainOptions, networks: Iterable[nn.Module]) -> str:
    """Return why a batch in parts would not give the gradients of the whole; empty where it does."""
    modules = chain.from_iterable(network.modules() for network in networks)
    if any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in modules):
        return "batch statistics"
    components = [LOSSES[choice.type] for choice in options.train.losses]
    components += [MODELS[options.model.type]] if options.model else []
    coupling = dict.fromkeys(component.name for component in components if not component.traits.separable)
    return f"{', '.join(coupling)}: not declared separable" if coupling else ""
