"""Whether a run starts anew or goes on, and whether it may: nothing is mixed silently."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traiNNer.config.options import TrainOptions
from traiNNer.engine.checkpoint import CheckpointStore, DamagedCheckpoint, Restored
from traiNNer.engine.run_folder import RunFolder
from traiNNer.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class Start:
    """Where a run begins: from a checkpoint, or anew (`restored` None); and what the person should know."""

    restored: Restored | None
    warnings: list[str]


def decide_start(options: TrainOptions, folder: RunFolder, store: CheckpointStore, overwrite: bool) -> Start:
    """Choose between a fresh start and a resume.

    Raises:
        ConfigError: the run exists and nothing says what to do with it, or `path.resume_state` is not a state.
        CheckpointError: a resume was asked for and no checkpoint can be used.
    """
    existing = store.iterations()
    if options.path.resume_state:
        if overwrite:
            raise ConfigError("--overwrite and path.resume_state contradict each other: one starts anew, one goes on")
        return _from_state(Path(options.path.resume_state).expanduser(), folder, store)
    if overwrite and existing:
        raise ConfigError(f"--overwrite: {folder.training_states} lies outside the run folder; empty it by hand first")
    leftovers = any(folder.training_states.glob("*.state"))
    if not existing and not leftovers:
        return Start(None, [])
    if options.auto_resume:
        restored, warnings = store.newest()
        return Start(restored, warnings)
    raise ConfigError(
        f"{folder.root} exists (last saved iteration: {existing[0]:,}). Add --auto_resume to go on, "
        "--overwrite to start anew (the old folder is kept under another name), or change `name`."
        if existing
        else f"{folder.root} exists, but its states have no record. --overwrite starts anew."
    )


def _from_state(path: Path, folder: RunFolder, store: CheckpointStore) -> Start:
    if path.suffix in (".safetensors", ".pth"):
        raise ConfigError(
            f"{path} is a weights file, not a training state. To start from its weights use path.pretrain_network_g; "
            "a training state is training_states/<iteration>.state."
        )
    if path.suffix != ".state" or not path.stem.isdigit():
        raise ConfigError(f"path.resume_state: {path} is not a training state (training_states/<iteration>.state)")
    if path.parent.resolve() != folder.training_states.resolve():
        store = CheckpointStore(_foreign(path.parent, folder), store.weight_format)
    if int(path.stem) not in store.iterations():
        known = ", ".join(f"{iteration}.state" for iteration in store.iterations()) or "none"
        raise CheckpointError(f"{path} is not there or has no record. Complete states in {path.parent}: {known}.")
    try:
        return Start(store.load(int(path.stem)), [])
    except DamagedCheckpoint as damage:
        return _previous(path, store, str(damage))


def _previous(path: Path, store: CheckpointStore, damage: str) -> Start:
    for iteration in store.iterations():
        if iteration < int(path.stem):
            try:
                restored = store.load(iteration)
            except DamagedCheckpoint:
                continue
            text = f"Checkpoint {int(path.stem):,} is damaged ({damage}). Using {iteration:,} instead."
            return Start(restored, [text])
    raise CheckpointError(f"{path} is damaged ({damage}) and there is no earlier one. Nothing was changed.")


def _foreign(states: Path, folder: RunFolder) -> RunFolder:
    """Return the folders of another run, whose state is to be taken over, as far as reading goes."""
    models = states.parent / "models"
    return RunFolder(folder.root, models, models, states, folder.log, folder.visualization)


def set_aside(folder: RunFolder) -> Path:
    """Rename the folder of an earlier run, for `--overwrite`; nothing is deleted. Returns the new place."""
    aside = folder.root.with_name(f"{folder.root.name}_replaced_{time.strftime('%Y%m%d_%H%M%S')}")
    folder.root.rename(aside)
    return aside


def refuse_mismatch(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Compare what must be equal for a resume: flat `key path -> value` of network, scale and optimiser type.

    Raises:
        CheckpointError: naming the first few keys with both values.
    """
    keys = [key for key in sorted({*recorded, *current}) if recorded.get(key) != current.get(key)]
    if keys:
        lines = [f"{key} is {current.get(key)} in the options, {recorded.get(key)} in the checkpoint" for key in keys]
        raise CheckpointError(
            f"Cannot resume: {'; '.join(lines[:4])}. "
            "Use a new name, or path.pretrain_network_g to start from its weights."
        )


def exactness_warnings(state: Mapping[str, Any], environment: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Return what makes a resumed run differ in bits from one that was never stopped."""
    changed = [
        f"{name} was {state['environment'].get(name)}, is {value}"
        for name, value in environment.items()
        if state["environment"].get(name) != value
    ]
    changed += [
        f"{name} was {state['stream'].get(name)}, is {value}"
        for name, value in data.items()
        if name != "files" and state["stream"].get(name) != value
    ]
    warnings = []
    if changed:
        warnings.append(f"Exact resume is off: {'; '.join(changed)} changed. Results will be close, not bit-identical.")
    before, now = state["stream"].get("files", {}), data.get("files", {})
    if before != now:
        counts = f"{before.get('count')} -> {now.get('count')} images"
        warnings.append(
            f"Dataset changed since the checkpoint: {counts}. Continuing at iteration {state['iteration']:,}."
        )
    return warnings
