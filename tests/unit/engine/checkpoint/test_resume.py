from types import SimpleNamespace

import pytest
import torch
from statekit import state_of

from traiNNer.engine.checkpoint.resume import (
    decide_start,
    is_fresh,
    refuse_contradiction,
    refuse_other_files,
    set_aside,
)
from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.run_folder import RunFolder
from traiNNer.errors import CheckpointError, ConfigError


def folder_at(root) -> RunFolder:
    places = {name: root / name for name in ("models", "training_states", "log", "visualization")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    return RunFolder(root, resume_models=places["models"], **places)


@pytest.fixture
def folder(tmp_path):
    return folder_at(tmp_path / "run")


def options_of(resume_state=None, auto_resume=False):
    path = SimpleNamespace(resume_state=None if resume_state is None else str(resume_state))
    return SimpleNamespace(path=path, auto_resume=auto_resume)


def save(folder: RunFolder, *iterations: int) -> CheckpointStore:
    store = CheckpointStore(folder)
    for iteration in iterations:
        weights = {"net_g": {"w": torch.full((2,), float(iteration))}}
        store.save(iteration, weights, state_of(iteration), {"net_g": {}})
    return store


def damage(folder: RunFolder, iteration: int) -> None:
    (folder.training_states / f"{iteration}.state").write_bytes(b"damaged")


def test_empty_folder_starts_from_scratch(folder):
    start = decide_start(options_of(), folder, CheckpointStore(folder), overwrite=False)
    assert (start.restored, start.warnings, start.iteration) == (None, [], 0)
    start = decide_start(options_of(auto_resume=True), folder, CheckpointStore(folder), overwrite=False)
    assert "there is no run in" in start.warnings[0]
    assert is_fresh(options_of(), folder, overwrite=False)


def test_existing_run_is_not_modified_without_a_flag(folder):
    store = save(folder, 3)
    with pytest.raises(ConfigError, match=r"last saved iteration: 3\). Add --auto_resume"):
        decide_start(options_of(), folder, store, overwrite=False)
    assert not is_fresh(options_of(), folder, overwrite=False)
    assert is_fresh(options_of(), folder, overwrite=True)


def test_auto_resume_uses_the_newest_complete_checkpoint(folder):
    store = save(folder, 3, 12)
    assert decide_start(options_of(auto_resume=True), folder, store, overwrite=False).iteration == 12
    damage(folder, 12)
    start = decide_start(options_of(auto_resume=True), folder, store, overwrite=False)
    assert start.iteration == 3
    assert "Checkpoint 12 is damaged" in start.warnings[0]


def test_named_state_wins_and_falls_back_to_earlier_ones(folder):
    store = save(folder, 3, 6, 9)
    named = options_of(folder.training_states / "6.state")
    assert decide_start(named, folder, store, overwrite=False).iteration == 6
    damage(folder, 6)
    start = decide_start(named, folder, store, overwrite=False)
    assert start.iteration == 3
    assert start.warnings[0].endswith("Using 3 instead.")
    damage(folder, 3)
    with pytest.raises(CheckpointError, match="there is no earlier one"):
        decide_start(named, folder, store, overwrite=False)
    with pytest.raises(CheckpointError, match=r"Complete states in .*: 9\.state, 6\.state, 3\.state"):
        decide_start(options_of(folder.training_states / "7.state"), folder, store, overwrite=False)


def test_foreign_state_is_adopted_only_into_an_empty_folder(folder, tmp_path):
    save(folder, 3)
    other = folder_at(tmp_path / "other")
    named = options_of(folder.training_states / "3.state")
    start = decide_start(named, other, CheckpointStore(other), overwrite=False)
    assert start.iteration == 3
    assert start.folder.training_states == folder.training_states
    with pytest.raises(ConfigError, match="has states of its own"):
        decide_start(named, other, save(other, 1), overwrite=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("net_g_3.safetensors", "use path.pretrain_network_g"),
        ("net_g_3.pth", "use path.pretrain_network_g"),
        ("best.state", "is not a training state"),
        ("3.pt", "is not a training state"),
        ("missing/3.state", "no such folder; nearest"),
    ],
)
def test_other_files_are_refused_and_identified(tmp_path, name, text):
    with pytest.raises(ConfigError, match=text):
        refuse_other_files(tmp_path / name)


def test_overwrite_contradicts_a_named_state_and_folders_elsewhere(folder, tmp_path):
    refuse_contradiction(options_of("3.state"), folder, overwrite=False)
    with pytest.raises(ConfigError, match="contradict each other"):
        refuse_contradiction(options_of("3.state"), folder, overwrite=True)
    refuse_contradiction(options_of(), folder, overwrite=True)
    elsewhere = folder_at(tmp_path / "elsewhere")
    save(elsewhere, 1)
    mixed = RunFolder(folder.root, elsewhere.models, elsewhere.models, folder.training_states, folder.log, folder.log)
    with pytest.raises(ConfigError, match="lies outside the run folder"):
        refuse_contradiction(options_of(), mixed, overwrite=True)


def test_old_run_is_archived_completely(folder):
    save(folder, 3)
    aside = set_aside(folder)
    assert not folder.root.exists()
    assert aside.name.startswith("run_replaced_")
    assert (aside / "training_states/3.state").is_file()


def test_second_overwrite_within_a_second_finds_another_name(folder, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20260101_000000")
    names = []
    for _ in range(3):
        save(folder_at(folder.root), 3)
        names.append(set_aside(folder).name)
    first = "run_replaced_20260101_000000"
    assert names == [first, f"{first}-2", f"{first}-3"]
    assert all((folder.root.with_name(name) / "training_states/3.state").is_file() for name in names)


def test_weights_whose_states_were_deleted_are_not_superseded(folder, tmp_path):
    store = save(folder, 4, 8)
    for path in folder.training_states.iterdir():
        path.unlink()
    text = r"has weights up to iteration 8, but their training states are not in .*path.pretrain_network_g.*--overwrite"
    with pytest.raises(CheckpointError, match=text):
        decide_start(options_of(auto_resume=True), folder, store, overwrite=False)
    other = folder_at(tmp_path / "other")
    save(other, 3)
    named = options_of(other.training_states / "3.state", auto_resume=True)
    with pytest.raises(CheckpointError, match=text):
        decide_start(named, folder, store, overwrite=False)
    assert {path.name for path in folder.models.iterdir()} == {"net_g_4.safetensors", "net_g_8.safetensors"}


def test_first_save_that_was_killed_starts_anew(folder):
    store = save(folder, 4)
    (folder.training_states / "4.json").unlink()
    start = decide_start(options_of(auto_resume=True), folder, store, overwrite=False)
    assert "has no complete checkpoint: starting at iteration 0" in start.warnings[0]
    assert {path.name for path in folder.models.iterdir()} == {"net_g_4.safetensors.superseded"}
