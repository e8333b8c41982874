"""The whole way from folders to a complete option tree."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from traiNNer.batch import ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.config.plugins import import_plugins
from traiNNer.config.tree import Report, node_of
from traiNNer.doctor.machine import machine_id
from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import ConfigError
from traiNNer.measuring.measure import LIMIT_S, Conditions, Say, measure, remembered
from traiNNer.measuring.measured import Measured
from traiNNer.measuring.messages import Job
from traiNNer.models.protocol import MAIN
from traiNNer.registry import ARCHS, Component
from traiNNer.run.build import build_networks, open_dataset
from traiNNer.run.preflight import check_losses, check_metrics, check_network
from traiNNer.traits import ArchTraits
from traiNNer.utils.files import nearest_existing
from traiNNer.utils.printable import printable
from traiNNer.zero_config.budget import decide_average, network_within
from traiNNer.zero_config.compose import compose, find_arch, folders_of, recipe_of
from traiNNer.zero_config.decide import FACTORS, decide_measured, decide_plan, workers_to_try
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.plan import Plan, fit, seconds_of
from traiNNer.zero_config.presets import Preset
from traiNNer.zero_config.subject import DatasetProfile, Folders

TRIALS_SHARE, TRIALS_S, LONGEST_TRIALS_S = 0.1, 40.0, 180.0
"""Most of a budget that trials of learning rates take, as a share and in seconds; slow steps may take longer."""
LEAST_LIMIT_S = 60.0
SMALLER_CROPS = (48, 32)
"""Sides in LQ pixels that short runs may take instead of the usual one."""
LEAVING_S = 2.0
"""Seconds of a budget in which two programs end and one starts."""
RESERVE_MB = 100
"""Free disk that a run needs besides its weights: log, curves, pictures."""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    arch: str | None
    """None leaves the choice to the budget."""
    folders: Folders
    preset: Preset = "convenience"
    scale: int | None = None
    budget_s: float | None = None
    overrides: Mapping[str, Any] | None = None
    wants_rate: bool = False
    measures_anew: bool = False
    begun: float | None = None
    """When the budget began, as `perf_counter` has it; None: with the first look at the folders."""
    recipe: str | None = None
    """`gan` for a second stage against a discriminator."""


@dataclass(frozen=True)
class Made:
    """A draft with every value decided, and what it rests on."""

    request: Request
    draft: Draft
    profile: DatasetProfile
    images: int
    held_out: int
    measured: Measured
    seconds: float
    """What all of it took."""
    warnings: tuple[str, ...]
    plan: Plan | None = None
    """How the budget is spent; None where there is none."""


def create_zero_config_training(
    architecture: str | None,
    dataset_gt_path: str | Path,
    dataset_lq_path: str | Path | None = None,
    val_gt_path: str | Path | None = None,
    val_lq_path: str | Path | None = None,
    preset: Preset = "convenience",
    scale: int | None = None,
    budget: str | float | None = None,
    custom_overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a complete option tree for a training on folders of images, decided by measuring data and machine.

    Saved as YAML it is what `python train.py -opt` takes. Data and machine are measured in a separate process, for
    about a minute; results are remembered. What it does meanwhile is reported on stderr.

    Args:
        architecture: name of a registered network, e.g. `paragonsr2_nano`; None leaves it to the budget.
        dataset_gt_path: folder of the large images.
        dataset_lq_path: folder of the small ones; without it they are made from the large ones.
        val_gt_path: folder of large images to validate with; without it some images are held out.
        val_lq_path: the small ones to it.
        preset: `convenience` (40,000 iterations, quick to settle) or `fidelity` (80,000, patient).
        scale: how many times larger the output is; by default derived from the sizes, 2 without small images.
        budget: time that the run may take, `30m` or `8h` (a number means minutes); iterations, schedule and learning
            rate follow from it. Measuring counts.
        custom_overrides: values that win over every decision, as a tree like an option file.

    Raises:
        ConfigError: an argument or override cannot be used; every problem of the overrides is named.
        DataError: the images cannot be trained on; the message names them.
        OutOfMemory: not even one training crop fits.
    """
    request = Request(
        architecture,
        folders_of(dataset_gt_path, dataset_lq_path, val_gt_path, val_lq_path),
        preset,
        scale,
        None if budget is None else seconds_of(str(budget)),
        custom_overrides,
    )

    def say(text: str) -> None:
        print(printable(text), file=sys.stderr)

    made = make(request, say)
    for text in [*made.warnings, *unmeasured(made)]:
        say(f"Warning: {text}")
    return made.draft.tree()


def make(request: Request, say: Say) -> Made:
    """Decide everything. Raises what `create_zero_config_training` does; writes nothing but the memory of results."""
    started = perf_counter() if request.begun is None else request.begun
    request = _with_plugins(request)
    network, why = ({"type": request.arch}, "") if request.arch else network_within(request.budget_s)
    arch = find_arch(network["type"])
    _require_scale(arch, request.scale)
    if request.preset not in ("convenience", "fidelity"):
        raise ConfigError(f"preset {request.preset!r}: must be convenience or fidelity")
    say("reading the headers of the images")
    profile = DatasetProfile.inspect(request.folders, request.scale)
    draft = compose(arch, profile, request.preset, request.overrides, network, why, request.budget_s)
    options = draft.checked().options
    sets = _open(options)
    parameters = _check_components(options, sets)
    _require_disk(options, parameters)
    measured = _measured(request, _job(request, draft, profile, options), sets, say)
    decide_measured(draft, measured)
    plan = None
    if request.budget_s:
        if measured.costs is None:
            raise ConfigError(f"No plan for a budget without a measured pace ({measured.ended}).")
        spent = perf_counter() - started
        plan = fit(request.budget_s, measured.costs, options.train.warmup_iter, spent)
        decide_plan(draft, plan, request.budget_s - spent - LEAVING_S)
        if draft.value("train.optim_g.type") == "Muon":
            decide_average(draft, plan)
    loaded = draft.checked()
    return Made(
        request,
        draft,
        profile,
        len(sets["train"]),
        sum(len(one) for name, one in sets.items() if name != "train"),
        measured,
        perf_counter() - started,
        loaded.warnings,
        plan,
    )


def _measured(request: Request, job: Job, sets: dict[str, ImageSet], say: Say) -> Measured:
    conditions = Conditions(
        job,
        tuple(str(folder and folder.resolve()) for folder in astuple(request.folders)),
        {name: dict(one.fingerprint()) for name, one in sets.items()},
        machine_id(),
    )
    limit_s = LIMIT_S if request.budget_s is None else min(LIMIT_S, max(LEAST_LIMIT_S, request.budget_s / 3))
    return remembered(conditions, lambda: measure(job, say, limit_s), request.measures_anew)


def _open(options: TrainOptions) -> dict[str, ImageSet]:
    quiet = Logbook(quiet=True)
    return {key: open_dataset(options, key, quiet) for key in options.datasets}


def _check_components(options: TrainOptions, sets: dict[str, ImageSet]) -> int:
    """Compute network, losses and metrics once; returns the number of parameters."""
    with torch.random.fork_rng(devices=[]):  # building draws weights, and nothing of it may show outside
        network = build_networks(options)[MAIN]
        check_network(network, options, sets)
        check_losses(options, sets["train"])
        check_metrics(options, sets)
    return sum(parameter.numel() for parameter in network.parameters())


def _require_disk(options: TrainOptions, parameters: int) -> None:
    """Raise `ConfigError` when the run's files would not find room: weights, states of ten times their size."""
    folder = nearest_existing(Path(options.path.experiments_root).expanduser())
    saves = -(-options.train.total_iter // options.logger.save_checkpoint_freq)
    needed = 4 * parameters * (2 * saves + 10 * (options.logger.keep_last + 1)) + RESERVE_MB * 2**20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(
            f"{folder.absolute()} has {free / 2**20:,.0f} MB free; this run needs about {needed / 2**20:,.0f} MB. Make "
            "room, or name another disk with path.experiments_root."
        )


def _job(request: Request, draft: Draft, profile: DatasetProfile, options: TrainOptions) -> Job:
    # Where a learning rate was measured for the arch, the rate automation guards it, and trials would only cost time.
    is_known = draft.value("train.optim_g.type") == "Muon"
    is_wanted = request.wants_rate or (request.budget_s is not None and not is_known)
    wants_rate = is_wanted and not draft.is_given("train.optim_g.lr")
    recipe, budget = recipe_of(ARCHS[options.network_g.type]), request.budget_s
    rate = (recipe.muon_lr if is_known else None) or recipe.lr
    data = options.datasets["train"]
    switches = ("use_channels_last", "use_amp", "amp_bf16", "fast_matmul", "use_compile")
    workers = data.num_worker_per_gpu if draft.is_given("datasets.train.num_worker_per_gpu") else "auto"
    return Job(
        tree=draft.tree() | {"name": "measured"},  # what is found holds for a run of any name
        given=tuple(key for key in switches if draft.is_given(key)),
        validated=profile.largest_validated(),
        rates=tuple(tuple(rate * factor for factor in factors) for factors in FACTORS) if wants_rate else (),
        rate_seconds=TRIALS_S if budget is None else min(TRIALS_S, TRIALS_SHARE * budget),
        rate_seconds_at_most=TRIALS_S if budget is None else min(LONGEST_TRIALS_S, TRIALS_SHARE * budget),
        workers=(0, *workers_to_try()) if workers == "auto" else (workers,),
        decoded_mb=profile.decoded_bytes() / 2**20,
        run_s=budget,
        crops=_crops(draft, options) if budget else (),
    )


def _crops(draft: Draft, options: TrainOptions) -> tuple[int, ...]:
    """Return the sides of crops to choose from, the usual one first; none where the user has chosen."""
    if draft.is_given("datasets.train.lq_size") or draft.is_given("datasets.train.gt_size"):
        return ()
    usual = options.datasets["train"].options.lq_size
    traits = ARCHS[options.network_g.type].traits
    smaller = [side for side in SMALLER_CROPS if side < usual and traits.fitting(side) == side]
    return (usual, *smaller) if smaller else ()


def _with_plugins(request: Request) -> Request:
    """Import the plugins that the overrides name, and name them so that any folder finds them; take a scale from there.

    Raises:
        ConfigError: a plugin cannot be imported.
    """
    overrides = dict(request.overrides or {})
    if isinstance(overrides.get("plugins"), list | tuple):
        overrides["plugins"] = [str(Path(plugin).expanduser().resolve()) for plugin in overrides["plugins"]]
    report = Report()
    import_plugins(node_of(overrides), Path(), report)
    if report.problems:
        raise ConfigError("custom_overrides", report.sorted())
    scale = overrides.get("scale", request.scale)
    return replace(request, overrides=overrides, scale=scale if isinstance(scale, int) else request.scale)


def _require_scale(arch: Component[ArchTraits], scale: int | None) -> None:
    scales = arch.traits.scales
    if scale is not None and (scale < 1 or (scales and scale not in scales)):
        known = ", ".join(str(value) for value in scales) or "1 and more"
        raise ConfigError(f"scale {scale}: {arch.name} is made for the scales {known}.")


def unmeasured(made: Made) -> list[str]:
    """Return what the user should know of a measuring that did not come to its end."""
    ended = made.measured.ended
    return [f"Measuring ended early ({ended}); what was not measured has its usual value."] if ended else []
