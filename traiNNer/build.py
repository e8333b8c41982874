"""Options to objects: each function builds one part of a run from its section of the option file."""

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

import traiNNer.archs
import traiNNer.automations
import traiNNer.data
import traiNNer.losses
import traiNNer.metrics
import traiNNer.optim  # noqa: F401 - importing these packages registers their components
from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.config.options import CommonOptions, DatasetChoice, LossChoice, TrainOptions
from traiNNer.data.demo import prepare_demo
from traiNNer.data.loader import TrainLoader
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.runtime import Runtime, is_out_of_memory
from traiNNer.engine.validation import Evaluation
from traiNNer.errors import ConfigError, RunError
from traiNNer.losses.weighted import WeightedLosses
from traiNNer.optim.schedules import compose
from traiNNer.registry import ARCHS, DATASETS, LOSSES, METRICS, SCHEDULES

DEMO_ROOT = Path("datasets/demo")
# Where images are, how they are kept and which are chosen: what counts, their names and sizes, is in the fingerprint.
ELSEWHERE = ("dataroot_gt", "dataroot_lq", "cache_mb", "split", "meta_info")


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


def open_dataset(options: CommonOptions, key: str, book: Logbook) -> ImageSet:
    """Build the dataset of section `datasets.<key>` and read its headers. Raises `DataError` with a table."""
    choice = options.datasets[key]
    build = partial(DATASETS.build, choice.type, choice.options, scale=options.scale, seed=options.manual_seed)
    dataset = attempt(f"datasets.{key}", build)
    purpose = "train" if key.startswith("train") else "val"
    for notice in dataset.open(purpose, f"datasets.{key}"):
        book.warn(notice)
    batch = choice.batch_size_per_gpu * choice.accum_iter
    if purpose == "train" and len(dataset) * choice.dataset_enlarge_ratio < batch:
        book.warn(f"Only {len(dataset)} images for batch {batch}; images repeat within an epoch.")
    return dataset


def build_network(options: CommonOptions) -> nn.Module:
    """Build the network on the CPU. Raises `ConfigError` when it cannot be built from its options."""
    choice = options.network_g
    try:
        return ARCHS.build(choice.type, choice.options, scale=options.scale, seed=options.manual_seed)
    except (ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(f"network_g: {choice.type} cannot be built from these options ({error})") from None


def attempt(title: str, make: Callable[[], Any]) -> Any:
    """Call code that may be somebody else's; whatever it raises is told with the component's name."""
    try:
        return make()
    except RunError:
        raise
    except Exception as error:
        raise ConfigError(f"{title} cannot be used: {type(error).__name__}: {error}{place_of(error)}") from None


def place_of(error: Exception) -> str:
    """Return the file and line where an error was raised, for messages."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f" ({Path(last.filename).name} line {last.lineno})"


def build_losses(options: TrainOptions) -> WeightedLosses:
    """Build the weighted losses."""
    choices = options.train.losses
    return WeightedLosses([(choice.type, build_loss(options, choice), choice.loss_weight) for choice in choices])


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
    return metrics


def directions(options: CommonOptions) -> dict[str, Any]:
    """Return for each metric which direction is better: the file's word, else the metric's own."""
    return {
        name: options.val.metrics[name].better or metric.direction for name, metric in build_metrics(options).items()
    }


def build_evaluations(options: CommonOptions, sets: dict[str, ImageSet], runtime: Runtime) -> list[Evaluation]:
    """Build one evaluation for each validation or test set, under the set's own name."""
    metrics = build_metrics(options)
    return [
        Evaluation(
            options.datasets[key].name or key,
            dataset,
            metrics,
            options.scale,
            runtime,
            options.val.tile_size,
            options.val.tile_overlap,
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
        total_iter=options.train.total_iter,
        rank=runtime.rank,
        world=runtime.world,
    )


def build_learning_rate(options: TrainOptions) -> Callable[[int], float]:
    """Return the factor on the learning rate as a function of the iteration (from 0): schedule x warm-up."""
    choice = options.train.scheduler
    schedule = None
    if choice:
        base = options.train.optim_g.options.lr
        schedule = SCHEDULES.build(choice.type, choice.options, total_iter=options.train.total_iter, base_lr=base)
    return compose(schedule, options.train.warmup_iter)


def describe_network(options: CommonOptions) -> dict[str, Any]:
    """Return what a weights file says of itself, enough to rebuild the network."""
    return {"arch": options.network_g.type, "options": options.network_g.plain(), "scale": options.scale}


def identity(options: TrainOptions) -> dict[str, Any]:
    """Return what must be equal for a state to fit a run: flat key paths and values."""
    network = {f"network_g.{key}": value for key, value in options.network_g.plain().items()}
    return network | {
        "network_g.type": options.network_g.type,
        "scale": options.scale,
        "train.optim_g.type": options.train.optim_g.type,
        "train.ema_decay": "above 0" if options.train.ema_decay else "0",
    }


def stream_identity(options: TrainOptions, dataset: ImageSet) -> dict[str, Any]:
    """Return what decides the course of training besides the identity; a change makes a resume inexact."""
    choice, train = options.datasets["train"], options.train
    crops = {key: value for key, value in choice.plain().items() if key not in ELSEWHERE}
    losses = [[loss.type, loss.loss_weight, loss.plain()] for loss in train.losses]
    return {
        **crops,
        "manual_seed": options.manual_seed,
        "batch_size_per_gpu": choice.batch_size_per_gpu,
        "accum_iter": choice.accum_iter,
        "dataset_enlarge_ratio": choice.dataset_enlarge_ratio,
        "losses": losses,
        "optim_g": train.optim_g.plain(),
        "scheduler": train.scheduler and [train.scheduler.type, train.scheduler.plain()],
        "warmup_iter": train.warmup_iter,
        "ema_decay": train.ema_decay,
        "grad_clip_max_norm": train.grad_clip_max_norm if train.grad_clip else None,
        "files": dataset.fingerprint(),
    }
