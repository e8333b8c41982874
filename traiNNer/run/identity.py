"""What a training state says of its run, so that a resume knows what was changed: options, data, libraries, plugins."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from traiNNer.batch import ImageSet
from traiNNer.config.automation_options import AutomationOptions
from traiNNer.config.choice import Choice
from traiNNer.config.options import DatasetChoice, TrainOptions
from traiNNer.registry import Influence, StrictOptions, influence_of
from traiNNer.run.build import network_choices
from traiNNer.utils.plugin_files import imported_files

COMPARED = (Influence.TRAINING, Influence.SCORES, Influence.LENGTH)


def identity(options: TrainOptions, networks: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Return what must be equal for a state to fit a run: flat key paths and values.

    The networks are by learner name, e.g. `net_g`. Options that leave the shapes of all tensors as they are do fit: see
    `engine.resume.refuse_mismatch`.
    """
    train = options.train
    found: dict[str, Any] = {"scale": options.scale, "model": options.model.type if options.model else "restoration"}
    for name, choice in network_choices(options).items():
        section = name.replace("net_", "network_")
        found |= {f"{section}.{key}": value for key, value in _plain(choice.options).items()}
        found |= {f"{section}.type": choice.type, f"{section}.tensors": _tensors(networks[name])}
    for key, optimizer, decay in (("g", train.optim_g, train.ema_decay), ("d", train.optim_d, train.ema_decay_d)):
        found[f"train.optim_{key}.type"] = optimizer and optimizer.type
        found["train.ema_decay" if key == "g" else "train.ema_decay_d"] = "above 0" if decay else "0"
    return found


def stream_identity(
    options: TrainOptions, sets: Mapping[str, ImageSet], automations: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what decides the course of a training besides its identity and the environment, as plain values.

    Args:
        options: all of them; those that are `NEUTRAL` or compared by the runtime are left out.
        sets: the image sets by the keys of their sections.
        automations: the options of every active automation, by its name, in the order in which they are asked.

    Returns:
        `training`, `scores` and `length`: the options of that influence as a tree; `needs_length`: whether the last
        one matters to training; `files`: the fingerprint of every set; `automations` and their `order`; `libraries`:
        versions of what reads images and draws numbers; `plugins`: a hash of every plugin file.
    """
    trees = {kind.value: selected(options, kind) for kind in COMPARED}
    return trees | {
        "needs_length": bool(automations) or any(_asks_for_length(choice) for choice in _choices(options)),
        "files": {key: dict(one.fingerprint()) for key, one in sets.items()},
        "automations": dict(automations),
        "order": list(automations),
        "libraries": {"numpy": np.__version__, "opencv": cv2.__version__},
        "plugins": {Path(file).name: _digest(Path(file)) for file, _ in imported_files()},
    }


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _tensors(network: nn.Module) -> str:
    shapes = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items())
    return hashlib.sha256(shapes.encode()).hexdigest()[:12]


def _choices(options: StrictOptions) -> Iterator[Choice]:
    """Yield every component that the options name."""
    if isinstance(options, Choice):
        yield options
    for name in type(options).model_fields:
        value = getattr(options, name)
        values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        for section in values:
            if isinstance(section, StrictOptions):
                yield from _choices(section)


def _asks_for_length(choice: Choice) -> bool:
    return "total_iter" in choice.registry[choice.type].context


def selected(options: StrictOptions, wanted: Influence, inherited: Influence = Influence.TRAINING) -> dict[str, Any]:
    """Return the options of one influence as a plain tree in the form of a file; a section that is off is None."""
    tree: dict[str, Any] = {}
    for key, value, influence in _entries(options, inherited):
        found = _kept(key, value, wanted, influence)
        if influence is wanted or found:
            tree[key] = found
    return tree


def _entries(options: StrictOptions, inherited: Influence) -> Iterator[tuple[str, Any, Influence]]:
    """Yield key, value and influence as in a file: a component's options beside its type, automations by name."""
    for name, field in type(options).model_fields.items():
        value, influence = getattr(options, name), influence_of(field) or inherited
        if isinstance(options, Choice) and name == "options":
            fields = options.registry[options.type].options.model_fields
            yield from ((key, item, influence_of(fields[key]) or inherited) for key, item in _plain(value).items())
        elif isinstance(options, AutomationOptions) and name == "automations":
            yield from ((key, item, influence) for key, item in value.items())
        else:
            yield name, value, influence


def _kept(key: str, value: Any, wanted: Influence, influence: Influence) -> Any:
    if isinstance(value, StrictOptions):
        # Validation sets are never trained on.
        is_validation = isinstance(value, DatasetChoice) and not key.startswith("train")
        is_off = not isinstance(value, Choice) and getattr(value, "enabled", True) is False
        return None if is_off else selected(value, wanted, Influence.SCORES if is_validation else influence)
    if isinstance(value, dict):
        found = {name: _kept(name, item, wanted, influence) for name, item in value.items()}
        is_plain = {name: not isinstance(item, StrictOptions) for name, item in value.items()}
        return {name: item for name, item in found.items() if item or (is_plain[name] and influence is wanted)}
    if isinstance(value, list | tuple):
        found = [_kept(key, item, wanted, influence) for item in value]
        return found if influence is wanted or any(found) else []
    return value if influence is wanted else None


def _plain(options: Any) -> dict[str, Any]:
    """Return the options of a component as plain values, whether they are kept as such or as their model."""
    return options.model_dump(mode="json") if isinstance(options, StrictOptions) else options
