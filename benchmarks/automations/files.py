"""The option files of the real runs: the guide's and those of both presets, with every length scaled alike."""

from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import yaml

import traiNNer.run.automations  # noqa: F401 - registers every component
from benchmarks.automations.photos import Pairs
from traiNNer.registry import AUTOMATIONS
from traiNNer.zero_config.compose import compose, find_arch, folders_of
from traiNNer.zero_config.subject import DatasetProfile

Tree = dict[str, Any]
File = Literal["guide", "convenience", "fidelity"]
FILES: tuple[File, ...] = ("guide", "convenience", "fidelity")
GUIDE = Path(__file__).resolve().parents[2] / "tests/data/guide.yml"
LENGTHS = frozenset(
    {
        *("total_iter", "warmup_iter", "val_freq", "start_iter", "stop_iter", "T_max", "plateau_patience", "log_every"),
        *("patience", "max_no_improvement", "min_iterations", "warmup_iterations", "min_epochs"),
    }
)
"""Keys that are counted in iterations, or epochs, of the run. What is counted in samples of a statistic
(`gradient_history_size`, `monitoring_frequency`, `adjustment_frequency`) is as noisy in a short run as in a long
one."""


@cache
def written(file: File, photos: Pairs) -> Tree:
    """Return an option file as it is written: the guide's, or what zero-config writes for a preset without a budget."""
    if file == "guide":
        return yaml.safe_load(GUIDE.read_text())
    profile = DatasetProfile.inspect(folders_of(photos.gt, photos.lq), 2)
    return compose(find_arch("paragonsr2_nano"), profile, file).tree()


def shortened(tree: Tree, length: int) -> Tree:
    """Return a file for about `length` iterations, a whole number of validations; lengths by default are written out.

    The average forgets in as many iterations, relative to the run, as before.
    """
    train, automations = tree["train"], tree["train"]["training_automations"]
    whole = {name: _with_defaults(name, given) for name, given in automations.items()}
    full = {**tree, "train": {**train, "training_automations": whole}}
    validations = train["total_iter"] // tree["val"]["val_freq"]
    factor = max(1, round(length / validations)) * validations / train["total_iter"]
    decay = 1 - min(0.5, (1 - train.get("ema_decay", 0.999)) / factor)
    result = _scaled(full, lambda count: max(1, round(factor * count)) if count else 0)
    result["train"]["ema_decay"] = decay
    return result


def _with_defaults(name: str, given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    known = signature(AUTOMATIONS[name].builder).parameters.values()
    return {one.name: one.default for one in known if one.name in LENGTHS and one.default is not None} | dict(given)


def _scaled(tree: Any, scale: Callable[[int], int]) -> Any:
    if isinstance(tree, list):
        return [_scaled(one, scale) for one in tree]
    if not isinstance(tree, Mapping):
        return tree
    is_length = {key: key in LENGTHS and isinstance(value, int) for key, value in tree.items()}
    return {key: scale(value) if is_length[key] else _scaled(value, scale) for key, value in tree.items()}
