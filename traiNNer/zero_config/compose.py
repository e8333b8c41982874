"""From folders, a preset and an arch to a draft of the option file; measured values come later."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from traiNNer.config.names import refusal
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS, Component, UnknownComponent
from traiNNer.traits import ArchTraits, Recipe
from traiNNer.zero_config.budget import CROP, decide_end, decide_recipe, is_small
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.presets import Preset, Reasoned, preset_values
from traiNNer.zero_config.subject import TILE, DatasetProfile, Folders

USUAL = Recipe(lr=2e-4, lq_size=48, batch_size=8)
"""Where an arch declares no settings."""


def find_arch(name: str) -> Component[ArchTraits]:
    """Return a registered arch. Raises `ConfigError` with the nearest names."""
    try:
        return ARCHS[name]
    except UnknownComponent as error:
        raise ConfigError(f"--arch {name}: {error}") from None


def recipe_of(arch: Component[ArchTraits]) -> Recipe:
    """Return the settings that an arch was published with, or the usual ones."""
    return arch.traits.recipe or USUAL


def compose(
    arch: Component[ArchTraits],
    profile: DatasetProfile,
    preset: Preset,
    overrides: Mapping[str, Any] | None = None,
    network: Mapping[str, Any] | None = None,
    why: str = "",
    budget_s: float | None = None,
) -> Draft:
    """Return the draft of a run: everything that needs no measuring.

    Args:
        arch: what is trained.
        profile: the images.
        preset: the philosophy of the run.
        overrides: a tree of values that win.
        network: the arch's section with its options; by default only its type.
        why: the reason for the arch.
        budget_s: seconds that the run may take; None keeps the preset's length.

    Raises:
        ConfigError: the overrides are no option tree.
        DataError: the images are too small for a training crop.
    """
    draft = Draft(overrides)
    recipe = recipe_of(arch)
    values = preset_values(preset)
    # The presets were written for a network that is trained at 2e-4; another arch brings its own.
    rate = values["train.optim_g.lr"]
    values["train.optim_g.lr"] = rate._replace(value=float(f"{rate.value * recipe.lr / USUAL.lr:.3g}"))
    draft.decide("name", name_of(arch.name, profile, preset), "the run's folder in experiments/")
    draft.decide("scale", profile.scale, profile.scale_reason)
    draft.decide("num_gpu", "auto", "the GPU if there is one")
    draft.decide("manual_seed", 0, "same seed, same run")
    for key in ("use_channels_last", "use_amp", "amp_bf16", "fast_matmul", "use_compile"):
        draft.decide(key, key == "use_channels_last" and "nhwc" in arch.traits.layouts, "")
    is_short = budget_s is not None and recipe.muon_lr is not None and not draft.is_given("train.optim_g")
    _decide_data(draft, arch, profile, replace(recipe, lq_size=CROP) if is_short and is_small(network) else recipe)
    for key, value in ({"type": arch.name} | dict(network or {})).items():
        draft.decide(f"network_g.{key}", value, why if key == "type" else "")
    if budget_s is not None and not draft.is_given("train.scheduler"):
        decide_end(draft, budget_s)
        del values["train.total_iter"]
    _decide_training(draft, values)
    for key, (value, reason) in values.items():
        draft.decide(key, value, reason)
    if is_short:
        decide_recipe(draft, recipe)
    _decide_validation(draft, profile)
    draft.decide("logger.print_freq", 100, "iterations between log lines")
    draft.decide("logger.save_checkpoint_freq", 5000, "iterations between checkpoints")
    return draft


def name_of(arch: str, profile: DatasetProfile, preset: Preset) -> str:
    """Return a name for the run from what it trains, one that no run here has: `2x_paragonsr2_nano_photos`."""
    folder = re.sub(r"[^\w.-]+", "_", profile.folders.gt.resolve().name).strip("._- ")[:40]
    name = f"{profile.scale}x_{arch}" + (f"_{folder}" if folder else "") + ("_fidelity" if preset == "fidelity" else "")
    name = name if refusal(name) is None else f"{profile.scale}x_{arch}"
    taken = {path.name for path in Path("experiments").glob(f"{name}*")} if Path("experiments").is_dir() else set()
    numbers = (f"{name}_{number}" for number in count(2))
    return name if name not in taken else next(other for other in numbers if other not in taken)


def _decide_data(draft: Draft, arch: Component[ArchTraits], profile: DatasetProfile, recipe: Recipe) -> None:
    folders = profile.folders
    train = "datasets.train"
    _decide_set(draft, train, folders.gt, folders.lq)
    if folders.is_held_out:
        draft.decide(f"{train}.split", "train", "without the images that are held out below")
    if folders.meta_info:
        draft.decide(f"{train}.meta_info", str(folders.meta_info), "only the images that this list names")
    if not (draft.is_given(f"{train}.gt_size") or draft.is_given(f"{train}.lq_size")):
        crop, why = profile.crop(recipe.lq_size, arch.traits)
        published = recipe.lq_size == recipe_of(arch).lq_size
        usual = f"as {arch.name} was published with" if published else "small ones make more steps"
        draft.decide(f"{train}.lq_size", crop, why or f"side of the random crops, {usual}")
    draft.decide(f"{train}.batch_size_per_gpu", recipe.batch_size, "crops per micro-batch")
    draft.decide(f"{train}.accum_iter", 1, "micro-batches per step")
    draft.decide(f"{train}.num_worker_per_gpu", 0, "data workers")
    draft.decide("datasets.val.name", "held_out" if folders.is_held_out else "val")
    if folders.is_held_out:
        _decide_set(draft, "datasets.val", folders.gt, folders.lq)
        draft.decide("datasets.val.split", "val", "a fixed choice by a hash of the names; never trained on")
        if folders.meta_info:
            draft.decide("datasets.val.meta_info", str(folders.meta_info))
    elif folders.val_gt:
        _decide_set(draft, "datasets.val", folders.val_gt, folders.val_lq)


def _decide_set(draft: Draft, at: str, gt: Path, lq: Path | None) -> None:
    if lq is None:
        draft.decide(f"{at}.type", "SingleGTDataset", "LQ is made from GT: MATLAB's antialiased bicubic")
        draft.decide(f"{at}.dataroot_gt", str(gt))
        return
    draft.decide(f"{at}.type", "PairedImageDataset")
    draft.decide(f"{at}.dataroot_gt", str(gt))
    draft.decide(f"{at}.dataroot_lq", str(lq))


def _decide_training(draft: Draft, values: Mapping[str, Reasoned]) -> None:
    train = "train"
    for key in (f"{train}.total_iter", f"{train}.warmup_iter"):
        if key in values:
            draft.decide(key, *values[key])
    draft.decide(f"{train}.ema_decay", 0.999, "EMA of the weights: what is validated and exported")
    draft.decide(f"{train}.grad_clip", True, "gradient-norm clipping")
    draft.decide(f"{train}.optim_g.type", "AdamW")
    for key in ("lr", "weight_decay"):
        draft.decide(f"{train}.optim_g.{key}", *values[f"{train}.optim_g.{key}"])
    draft.decide(f"{train}.optim_g.betas", [0.9, 0.99])
    if f"{train}.total_iter" in values:  # the clock brings its schedule
        draft.decide(f"{train}.scheduler.type", "CosineAnnealingLR", "falls smoothly to the end of the run")
        draft.decide(f"{train}.scheduler.eta_min", 1e-7)
    draft.decide(f"{train}.losses", [{"type": "L1Loss", "loss_weight": 1.0}])


def _decide_validation(draft: Draft, profile: DatasetProfile) -> None:
    height, width = profile.largest_validated()
    is_large = height * width > TILE * TILE * 2
    draft.decide("val.tile_size", TILE if is_large else 0, f"images of up to {width}x{height} LQ pixels")
    draft.decide("val.metrics.psnr", {})
    draft.decide("val.metrics.ssim", {})


def folders_of(gt: str | Path, *others: str | Path | None) -> Folders:
    """Return folders from what the user gave, in the order of `Folders`: text or paths, `~` allowed."""
    return Folders(Path(gt).expanduser(), *(None if path is None else Path(path).expanduser() for path in others))
