"""The training automations of a run: which are active, the knobs they move, and what they know of the run."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import torch
from torch import nn

from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.config.choice import AutomationChoice
from traiNNer.config.options import TrainOptions
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import CROP_SIZE, Direction, KnobChanged, RunStarted
from traiNNer.engine.control.host import AutomationHost
from traiNNer.engine.control.knobs import GRAD_CLIP, LOSS_WEIGHT, MICRO_BATCH, Knobs
from traiNNer.engine.control.of_learner import OfLearner
from traiNNer.engine.evaluation.probe import Probe, choose_crops
from traiNNer.engine.learner import Learner, knob_prefix
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.reference import BicubicReference, ReferenceInTime
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.losses.weighted import WeightedLosses, log_names
from traiNNer.models.protocol import MAIN
from traiNNer.optim.schedules import Schedule
from traiNNer.registry import AUTOMATIONS, LOSSES, MODELS
from traiNNer.run.averages import average_iter
from traiNNer.run.build import attempt, build_schedule, directions, hooks_of, network_choices


def chosen_automations(options: TrainOptions) -> dict[str, AutomationChoice]:
    """Return the automations that are switched on, by name."""
    section = options.train.training_automations
    return section.active() if section else {}


def plain_options(options: TrainOptions) -> dict[str, dict[str, Any]]:
    """Return the options of every automation that is switched on as plain values, by its name."""
    return {name: choice.plain() for name, choice in chosen_automations(options).items()}


def build_automations(options: TrainOptions) -> dict[str, Automation]:
    """Build the automations that are switched on, some for each learner. Raises `ConfigError` for one that is none."""
    automations = {}
    for name, choice in chosen_automations(options).items():
        title = f"train.training_automations.{name}"
        automation = attempt(title, lambda c=choice: AUTOMATIONS.build(c.type, c.options))
        if not isinstance(automation, Automation):
            raise ConfigError(f"{title}: must be derived from traiNNer.engine.control.automation.Automation")
        automations[name] = automation
        for learner in [one for one in network_choices(options) if automation.is_per_learner and one != MAIN]:
            automations[f"{name} ({learner})"] = OfLearner(AUTOMATIONS.build(choice.type, choice.options), learner)
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


def pixel_losses(options: TrainOptions) -> list[int]:
    """Return the places of the pixel losses, which bicubic upscaling can be measured by."""
    losses = enumerate(options.train.losses)
    return [place for place, choice in losses if LOSSES[choice.type].traits.pixel and choice.loss_weight]


def build_reference(options: TrainOptions, losses: WeightedLosses) -> ReferenceInTime | None:
    """Return what measures bicubic upscaling on every batch; None without an automation or without a pixel loss."""
    places = pixel_losses(options)
    if not places or not chosen_automations(options):
        return None
    if any(not {"output", "target"}.issuperset(losses.calls[place].required) for place in places):
        return None
    names = list(losses.weights)
    return ReferenceInTime(
        [
            (
                losses.spans[names[place]].covers,
                BicubicReference(losses.calls[place], options.scale, losses.weights[names[place]]),
            )
            for place in places
        ]
    )


def ordered_changes(options: TrainOptions, losses: WeightedLosses) -> list[KnobChanged]:
    """Return what the option file changes in the course of the run, in the order of time."""
    found = []
    for name, span in losses.spans.items():
        found += [KnobChanged(span.start, LOSS_WEIGHT + name, 0.0, 1.0)] if span.start else []
        found += [KnobChanged(int(span.stop), LOSS_WEIGHT + name, 1.0, 0.0)] if math.isfinite(span.stop) else []
    data = options.datasets["train"]
    steps = data.get("crop_growth", ())
    if steps:
        largest = data.get("lq_size") or data.get("gt_size") // options.scale
        sides = [*(step.lq_size for step in steps), largest]
        moves = zip(steps, pairwise(sides), strict=True)
        found += [KnobChanged(step.until, CROP_SIZE, old, new) for step, (old, new) in moves]
    return sorted(found, key=lambda change: change.iteration)


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
    probe: Probe | None = None,
    ending: Schedule | None = None,
) -> AutomationHost | None:
    """Build the host with its automations; None when none is active."""
    automations = build_automations(options)
    if not automations:
        return None
    section = options.train.training_automations
    run = describe_run(options, networks, losses, train_set, runtime, probe is not None, ending)
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
        probe=probe,
    )


def build_probe(
    options: TrainOptions, sets: Mapping[str, ImageSet], main: Learner, knobs: Knobs, runtime: Runtime, book: Logbook
) -> Probe | None:
    """Cut the probe's crops on rank 0 and build it; None without an automation or a usable image, which is told."""
    if not sets or not chosen_automations(options):
        return None
    held_out, training, is_held_out = [], [], False
    if runtime.is_main:
        validation = [one for key, one in sets.items() if key != "train"]
        with runtime.rng.saved():
            held_out, training, is_held_out = choose_crops(sets["train"], validation, options.scale)
    if not runtime.from_main(len(held_out)):
        book.info("No probe for the automations: no image gives a crop of the training size with LQ and GT.")
        return None
    if not is_held_out:
        book.info("The automations' probe is cut from training images: too few validation images are large enough.")
    average = main.average.network if main.average else None
    return Probe(held_out, training, main.network, average, runtime, book, knobs[MICRO_BATCH].at)


def describe_run(
    options: TrainOptions,
    networks: Iterable[nn.Module],
    losses: WeightedLosses,
    train_set: ImageSet,
    runtime: Runtime,
    has_probe: bool = False,
    ending: Schedule | None = None,
) -> RunStarted:
    """Return what the automations know about the run."""
    train, data = options.train, options.datasets["train"]
    anchors = [list(losses.weights)[place] for place in pixel_losses(options)]
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
        anchor=anchors[0] if anchors else None,
        later_anchors=anchors[1:],
        changes=ordered_changes(options, losses),
        metrics=monitored(options),
        schedule=build_schedule(options, ending=ending),
        has_schedule=train.scheduler is not None or ending is not None,
        is_clipping=train.grad_clip,
        has_memory=runtime.has_memory,
        coupled_by=coupled_by(options, networks),
        is_compiled=runtime.use_compile,
        average_iter=average_iter(train),
        has_probe=has_probe,
        beta2=getattr(train.optim_g.options, "betas", (0.0, RunStarted.beta2))[1],
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
