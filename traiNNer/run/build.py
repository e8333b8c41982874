"""Options to objects: each function builds one part of a run from its section of the option file."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from inspect import isclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from traiNNer.archs.recompute import recompute_blocks
from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.config.choice import AutomationChoice
from traiNNer.config.options import ArchChoice, CommonOptions, DatasetChoice, LossChoice, ModelChoice, TrainOptions
from traiNNer.data.batch_augment import BatchAugment
from traiNNer.data.demo import prepare_demo
from traiNNer.data.loader import TrainLoader
from traiNNer.degradations.draws import Notes
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.ending import Ending, Timing
from traiNNer.engine.evaluation.evaluation import Evaluation, network_of
from traiNNer.engine.learner import Learner
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError, RunError
from traiNNer.losses.weighted import Span, WeightedLosses
from traiNNer.metrics.protocol import named_call
from traiNNer.models.protocol import Networks, TrainableModel, Upscaler
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.optim.schedules import Schedule, compose, finish
from traiNNer.registry import ARCHS, AUTOMATIONS, DATASETS, LOSSES, METRICS, MODELS, SCHEDULES
from traiNNer.run.averages import build_average
from traiNNer.run.degrader import build_degrader
from traiNNer.utils.durations import seconds_of
from traiNNer.utils.plugin_files import place_of

DEMO_ROOT = Path("datasets/demo")


def prepare_demo_if_named(options: CommonOptions, book: Logbook) -> None:
    """Make the demo set when the option file names its folders and they are missing; one line says so."""
    roots = [root for choice in options.datasets.values() for root in _roots(choice)]
    missing = [root for root in roots if DEMO_ROOT in Path(root).parents and not Path(root).exists()]
    if missing:
        book.info(f"{missing[0]} is missing: preparing the demo set…")
        book.info(prepare_demo(DEMO_ROOT))


def _roots(choice: DatasetChoice) -> list[str]:
    given = [choice.get("dataroot_gt"), choice.get("dataroot_lq")]
    return [root for value in given if value for root in ([value] if isinstance(value, str) else value)]


def open_dataset(options: CommonOptions, key: str, book: Logbook, notes: Notes | None = None) -> ImageSet:
    """Build the dataset of section `datasets.<key>` and read its headers. Raises `DataError` with a table.

    What its degradations draw is written to `notes`.
    """
    choice = options.datasets[key]
    degrade = attempt(f"datasets.{key}.degradations", partial(build_degrader, choice, notes))
    build = partial(
        DATASETS.build,
        choice.type,
        choice.options,
        scale=options.scale,
        seed=options.manual_seed,
        degrade=degrade,
    )
    dataset = attempt(f"datasets.{key}", build)
    if not isinstance(dataset, ImageSet):
        raise ConfigError(f"datasets.{key}: {choice.type} must be derived from traiNNer.batch.ImageSet")
    purpose = "train" if key.startswith("train") else "val"
    for notice in dataset.open(purpose, f"datasets.{key}"):
        book.warn(notice)
    batch = choice.batch_size_per_gpu * choice.accum_iter
    if purpose == "train" and len(dataset) * choice.dataset_enlarge_ratio < batch:
        book.warn(f"Only {len(dataset)} images for batch {batch}; images repeat within an epoch.")
    return dataset


def network_choices(options: CommonOptions) -> dict[str, ArchChoice]:
    """Return the networks of the option file by learner name: `net_g` first."""
    choices = {"net_g": options.network_g}
    if isinstance(options, TrainOptions) and options.network_d:
        choices["net_d"] = options.network_d
    return choices


def build_networks(options: CommonOptions) -> dict[str, nn.Module]:
    """Build every network on the CPU, by learner name. Raises `ConfigError` for one that cannot be built."""
    return {name: _build_network(options, name, choice) for name, choice in network_choices(options).items()}


def _build_network(options: CommonOptions, name: str, choice: ArchChoice) -> nn.Module:
    build = partial(ARCHS.build, choice.type, choice.options, scale=options.scale, seed=options.manual_seed)
    title = f"{name.replace('net_', 'network_')}: {choice.type}"
    network = attempt(title, build, "cannot be built from these options")
    if isinstance(options, TrainOptions) and options.use_checkpointing:
        found = recompute_blocks(network)
        if not found and name == "net_g":
            raise ConfigError(f"use_checkpointing: {choice.type} has no repeated blocks to compute again. Remove it.")
    return network


def clip_frames(options: CommonOptions) -> int:
    """Return how many frames the network sees at once; 1 where it takes single images."""
    choice = options.network_g
    return ARCHS[choice.type].traits.frames(choice.plain())


def attempt(title: str, make: Callable[[], Any], what: str = "cannot be used") -> Any:
    """Call code that may be somebody else's and return its result.

    Raises:
        ConfigError: it raised anything but an error for the user or of memory; with the component's name and the line.
    """
    try:
        return make()
    except RunError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(f"{title} {what}: {type(error).__name__}: {error} ({place_of(error)})") from None


def build_losses(options: TrainOptions) -> WeightedLosses:
    """Build the weighted losses."""
    choices = options.train.losses
    spans = [Span(choice.start_iter, math.inf if choice.stop_iter is None else choice.stop_iter) for choice in choices]
    items = [(choice.type, build_loss(options, choice), choice.loss_weight) for choice in choices]
    return WeightedLosses(items, spans)


def build_loss(options: TrainOptions, choice: LossChoice) -> nn.Module:
    """Build one loss, without its weight."""
    return LOSSES.build(choice.type, choice.options, scale=options.scale, seed=options.manual_seed)


def build_metrics(options: CommonOptions) -> dict[str, Any]:
    """Build the metrics by name; none when they are switched off."""
    if not options.val.metrics_enabled:
        return {}
    metrics = {}
    for name, choice in options.val.metrics.items():
        title = f"val.metrics.{name}"
        build = partial(METRICS.build, choice.type, choice.options, scale=options.scale, seed=options.manual_seed)
        metric = metrics[name] = attempt(title, build)
        if getattr(metric, "direction", None) not in ("higher", "lower") or not hasattr(metric, "needs_target"):
            raise ConfigError(
                f"{title}: {choice.type} needs the attributes direction ('higher' or 'lower') and needs_target"
            )
        attempt(title, partial(named_call, choice.type, metric))  # it asks for nothing that there is not
    return metrics


def directions(options: CommonOptions) -> dict[str, Any]:
    """Return for each metric which direction is better: the file's word, else the metric's own."""
    return {
        name: options.val.metrics[name].better or metric.direction for name, metric in build_metrics(options).items()
    }


def build_evaluations(
    options: CommonOptions, sets: dict[str, ImageSet], runtime: Runtime, before: Upscaler | None = None
) -> list[Evaluation]:
    """Build one evaluation for each validation or test set, under the set's own name.

    The strips show what the network `before` makes, too.
    """
    metrics = build_metrics(options)
    for network in filter(None, map(network_of, metrics.values())):
        runtime.place(network)
    return [
        Evaluation(
            options.datasets[key].name or key,
            dataset,
            metrics,
            options.scale,
            runtime,
            options.val.tile_size,
            options.val.tile_overlap,
            ARCHS[options.network_g.type].traits,
            measures_drift=isinstance(options, TrainOptions) and options.network_d is not None,
            before=before,
        )
        for key, dataset in sets.items()
        if not key.startswith("train")
    ]


def build_loader(
    options: TrainOptions, dataset: ImageSet, runtime: Runtime, plan: BatchPlan | None = None, start: int = 0
) -> TrainLoader:
    """Build the stream of micro-batches from iteration `start` to the last."""
    choice = options.datasets["train"]
    return TrainLoader(
        dataset,
        seed=options.manual_seed,
        batch_size=plan or choice.batch_size_per_gpu,
        accum_iter=choice.accum_iter,
        workers=choice.num_worker_per_gpu,
        pin_memory=choice.pin_memory and runtime.device.type == "cuda",
        enlarge_ratio=choice.dataset_enlarge_ratio,
        start_iteration=start,
        total_iter=options.train.most_iter,
        rank=runtime.rank,
        world=runtime.world,
        augment=BatchAugment(options.train.moa_augs, options.train.moa_probs) if options.train.use_moa else None,
    )


def build_ending(options: TrainOptions, runtime: Runtime, clock: Callable[[], float]) -> Ending | None:
    """Return what plans the end of a run that the clock ends; None for another."""
    train = options.train
    if train.end_at is None:
        return None
    is_validating = options.val.val_enabled and any(not key.startswith("train") for key in options.datasets)
    val_freq = options.val.val_freq if is_validating else None
    timing = Timing(
        seconds_of(train.end_at), train.decay_share, train.most_iter, val_freq, options.logger.save_checkpoint_freq
    )
    return Ending(timing, runtime, clock)


def build_schedule(options: TrainOptions, name: str = "net_g", ending: Schedule | None = None) -> Schedule:
    """Return the factor on a learner's learning rate as a function of the iteration (from 0): schedule x warm-up.

    Where the clock ends the run, its plan is a further factor.
    """
    train = options.train
    choice, optimizer = {
        "net_g": (train.scheduler, train.optim_g),
        "net_d": (train.scheduler_d, train.optim_d),
    }[name]
    schedule = None
    if choice and optimizer:
        base = optimizer.options.lr
        schedule = SCHEDULES.build(choice.type, choice.options, total_iter=train.total_iter, base_lr=base)
    elif ending is None and not train.scheduler and finishes(options):
        schedule = partial(finish, total_iter=train.total_iter)
    planned = compose(schedule, train.warmup_iter)
    return planned if ending is None else lambda iteration: planned(iteration) * ending(iteration)


def finishes(options: TrainOptions) -> bool:
    """Whether an automation ends a run whose file has no schedule with a decay to zero; a shadow changes nothing."""
    section = options.train.training_automations
    if section is None or section.shadow:
        return False
    optimizer = options.train.optim_g.type
    return any(hooks_of(choice).finishes(choice.options, optimizer) for choice in section.active().values())


def hooks_of(choice: AutomationChoice) -> type[Automation]:
    """Return the class of an automation; a plugin's factory function has the hooks that do nothing."""
    builder = AUTOMATIONS[choice.type].builder
    return builder if isclass(builder) and issubclass(builder, Automation) else Automation


def build_learners(
    options: TrainOptions,
    networks: Mapping[str, nn.Module],
    runtime: Runtime,
    knobs: Knobs,
    ending: Schedule | None = None,
) -> dict[str, Learner]:
    """Place every network on the device and give it an optimizer, a schedule, and an average where one is wanted."""
    train = options.train
    parts = {"net_g": (train.optim_g, train.ema_decay), "net_d": (train.optim_d, train.ema_decay_d)}
    learners = {}
    for name, network in networks.items():
        choice, decay = parts[name]
        assert choice is not None  # the options are checked
        runtime.place(network)
        optimizer = build_optimizer(choice.type, choice.options, network.parameters())
        average = build_average(choice.type, decay, network, optimizer)
        learners[name] = Learner(name, network, optimizer, build_schedule(options, name, ending), knobs, average)
    return learners


def build_model(
    options: TrainOptions, learners: Mapping[str, Learner], losses: WeightedLosses, runtime: Runtime
) -> TrainableModel:
    """Build what a training step computes, around the learners' networks in the precision of the run."""
    networks = {name: runtime.upscaler(learner.network) for name, learner in learners.items()}
    averages = {name: runtime.upscaler(one.average.network) for name, one in learners.items() if one.average}
    runtime.place(losses)
    return model_of(options, networks, averages, losses)


def model_of(
    options: TrainOptions, networks: Networks, averages: Networks, losses: Callable[..., dict[str, Tensor]]
) -> TrainableModel:
    """Build the model around networks that are ready to be called. Raises `ConfigError` for a plugin's that is none."""
    choice = options.model or ModelChoice(type="restoration")
    context = {"scale": options.scale, "seed": options.manual_seed, "total_iter": options.train.total_iter}
    build = partial(MODELS.build, choice.type, choice.options, networks=networks, averages=averages, losses=losses)
    model = attempt(f"model: {choice.type}", partial(build, **context))
    if not isinstance(model, TrainableModel):
        raise ConfigError(f"model: {choice.type} must be derived from traiNNer.models.protocol.TrainableModel")
    return model


def describe_networks(options: CommonOptions) -> dict[str, dict[str, Any]]:
    """Return by learner name what a weights file says of itself, enough to rebuild the network."""
    return {
        name: {"arch": choice.type, "options": choice.plain(), "scale": options.scale}
        for name, choice in network_choices(options).items()
    }
