"""Whether a run starts anew or continues, and whether it may: nothing is mixed silently."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traiNNer.config.options import TrainOptions
from traiNNer.engine.checkpoint.decoding import DamagedCheckpoint
from traiNNer.engine.checkpoint.ownership import is_empty
from traiNNer.engine.checkpoint.store import SUPERSEDED, CheckpointStore, Restored
from traiNNer.engine.run_folder import RunFolder
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import CheckpointError, ConfigError
from traiNNer.utils.files import nearest_existing


@dataclass(frozen=True)
class Start:
    """Where a run begins: from a checkpoint, or anew (`restored` None); and what the user should know.

    `folder` is that of the run whose checkpoint it is.
    """

    restored: Restored | None
    warnings: list[str]
    folder: RunFolder

    @property
    def iteration(self) -> int:
        """The iteration after which it continues; 0 for a run that begins anew."""
        return self.restored.iteration if self.restored else 0


def agree_on_start(runtime: Runtime, folder: RunFolder, decide: Callable[[], Start]) -> Start:
    """Let rank 0 decide; the other ranks read the checkpoint that it chose. Raises what `decide` raises, everywhere."""
    chosen: list[Start] = []

    def choose() -> tuple[int, RunFolder]:
        chosen.append(decide())
        return chosen[0].iteration, chosen[0].folder

    iteration, source = runtime.on_main(choose)
    if chosen:
        return chosen[0]
    try:
        return Start(CheckpointStore(source).load(iteration) if iteration else None, [], folder)
    except DamagedCheckpoint as damage:
        raise CheckpointError(f"Rank 0 resumes at {iteration:,}, rank {runtime.rank} cannot: {damage}") from None


def refuse_contradiction(options: TrainOptions, folder: RunFolder, overwrite: bool) -> None:
    """Raise `ConfigError` when a run that is to start anew is to go on too, or has files that cannot be set aside."""
    if not overwrite:
        return
    if options.path.resume_state:
        raise ConfigError("--overwrite and path.resume_state contradict each other: one starts anew, one continues")
    for place in (folder.models, folder.training_states):
        is_outside = folder.root.resolve() not in place.resolve().parents
        if is_outside and not is_empty(place):
            raise ConfigError(f"--overwrite: {place} lies outside the run folder; empty it by hand first")


def decide_start(options: TrainOptions, folder: RunFolder, store: CheckpointStore, overwrite: bool) -> Start:
    """Choose between a fresh start and a resume.

    Raises:
        ConfigError: the run exists and nothing says what to do with it, or `path.resume_state` is not a state.
        CheckpointError: a resume was asked for and no checkpoint can be used.
    """
    existing = store.iterations()
    states, weights = list(folder.training_states.glob("*.state")), store.weights()
    if options.path.resume_state:
        return _from_named_state(options, folder, store)
    if not (existing or states or weights):
        nothing = f"auto_resume: there is no run in {folder.root} yet; starting at iteration 0."
        return Start(None, [nothing] if options.auto_resume and not overwrite else [], folder)
    if not options.auto_resume:
        raise ConfigError(
            f"{folder.root} exists ({_content(existing, states)}). "
            f"Add {'--auto_resume to go on, ' if existing else ''}--overwrite to start anew (the old folder is kept "
            "under another name), or change `name`."
        )
    if existing or len(states) > 1:
        restored, warnings = store.newest()
        return Start(restored, warnings, folder)
    # Stopped before its first checkpoint was complete: there is nothing to continue from.
    _refuse_lost_states(folder, store)
    store.supersede_all()
    text = f"{folder.root} has no complete checkpoint: starting at iteration 0; its files are kept as *{SUPERSEDED}."
    return Start(None, [text], folder)


def is_fresh(options: TrainOptions, folder: RunFolder, overwrite: bool) -> bool:
    """Whether a run begins anew, as far as is known without touching its folder."""
    return overwrite or not (options.path.resume_state or CheckpointStore(folder).iterations())


def _content(existing: list[int], states: list[Path]) -> str:
    if existing:
        return f"last saved iteration: {existing[0]:,}"
    return "its states have no record" if states else "it has weights but no training state"


def _from_named_state(options: TrainOptions, folder: RunFolder, store: CheckpointStore) -> Start:
    path = Path(options.path.resume_state or "").expanduser()
    refuse_other_files(path)
    is_own = path.parent.resolve() == folder.training_states.resolve()
    existing = store.iterations()
    if existing and options.auto_resume:
        restored, warnings = store.newest()
        text = f"path.resume_state is ignored: auto_resume continues from the newest state, {restored.iteration:,}."
        return Start(restored, [*warnings, text], folder)
    if is_own or not (existing or store.weights()):
        return _from_state(path, folder, store)
    if not options.auto_resume:
        raise ConfigError(
            f"path.resume_state is a state of another run, and {folder.root} has "
            f"{'states' if existing else 'weights'} of its own. Change `name`, or move that folder away."
        )
    # The first start from that state was stopped before its first checkpoint was complete.
    start = _from_state(path, folder, store)
    _refuse_lost_states(folder, store)
    store.supersede_all()
    return Start(start.restored, [*start.warnings, _kept(folder)], start.folder)


def _refuse_lost_states(folder: RunFolder, store: CheckpointStore) -> None:
    """Raise `CheckpointError` for weights without states: a save writes the state first, so states were deleted."""
    lost = store.weights_without_state()
    if lost:
        raise CheckpointError(
            f"Cannot resume: {folder.models} has weights up to iteration {lost[0]:,}, but their training states are "
            f"not in {folder.training_states}. Nothing was changed. Put them back; or start from the weights with "
            "path.pretrain_network_g and another name; or add --overwrite to start anew (the old folder is kept)."
        )


def _kept(folder: RunFolder) -> str:
    return f"{folder.root} has no complete checkpoint of its own; its files are kept as *{SUPERSEDED}."


def check_resume_models(options: TrainOptions, folder: RunFolder, overwrite: bool) -> list[str]:
    """Return a warning where `path.resume_models` has no effect, as nothing is resumed.

    Raises:
        ConfigError: it is not a folder.
    """
    given = options.path.resume_models
    if given is None:
        return []
    if not folder.resume_models.is_dir():
        near = nearest_existing(folder.resume_models)
        raise ConfigError(f"path.resume_models: no such folder {given}. The nearest that exists is {near}.")
    if is_fresh(options, folder, overwrite):
        return ["path.resume_models has no effect: nothing is resumed. To start from weights: path.pretrain_network_g."]
    return []


def refuse_other_files(path: Path) -> None:
    """Raise `ConfigError` for a `path.resume_state` that does not even look like one."""
    if path.suffix in (".safetensors", ".pth"):
        raise ConfigError(
            f"{path} is a weights file, not a training state. To start from its weights use path.pretrain_network_g; "
            "a training state is training_states/<iteration>.state."
        )
    if path.suffix != ".state" or not path.stem.isdigit():
        raise ConfigError(f"path.resume_state: {path} is not a training state (training_states/<iteration>.state)")
    if not path.parent.is_dir():
        raise ConfigError(f"path.resume_state: {path}: no such folder; nearest: {nearest_existing(path)}")


def _from_state(path: Path, folder: RunFolder, store: CheckpointStore) -> Start:
    if path.parent.resolve() != folder.training_states.resolve():
        folder = _foreign(path.parent, folder)
        store = CheckpointStore(folder, store.weight_format)
    if int(path.stem) not in store.iterations():
        known = ", ".join(f"{iteration}.state" for iteration in store.iterations()) or "none"
        raise CheckpointError(f"{path} is not there or has no record. Complete states in {path.parent}: {known}.")
    try:
        return Start(store.load(int(path.stem)), [], folder)
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
            return Start(restored, [text], store.folder)
    raise CheckpointError(f"{path} is damaged ({damage}) and there is no earlier one. Nothing was changed.")


def _foreign(states: Path, folder: RunFolder) -> RunFolder:
    """Return the folders of another run, whose state is to be taken over, as far as reading goes."""
    models = states.parent / "models"
    return RunFolder(folder.root, models, folder.resume_models, states, folder.log, folder.visualization)


def set_aside(folder: RunFolder) -> Path:
    """Rename the folder of an earlier run, for `--overwrite`; nothing is deleted. Returns the new place."""
    name = f"{folder.root.name}_replaced_{time.strftime('%Y%m%d_%H%M%S')}"
    aside, number = folder.root.with_name(name), 2
    while os.path.lexists(aside):  # twice within a second, or the clock was set back
        aside, number = folder.root.with_name(f"{name}-{number}"), number + 1
    folder.root.rename(aside)
    return aside
