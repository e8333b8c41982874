"""Folders of weights and states belong to one run."""

import json
import shutil
from dataclasses import replace

import pytest

from traiNNer.engine.checkpoint.ownership import MARK, claim, read_owner, refuse_foreign
from traiNNer.engine.run_folder import RunFolder
from traiNNer.errors import ConfigError


def run_at(root, **places) -> RunFolder:
    """Return the folders of a run, made."""
    inside = {name: root / name for name in ("models", "training_states", "log", "visualization")} | places
    for place in (root, *inside.values()):
        place.mkdir(parents=True, exist_ok=True)
    return RunFolder(root, resume_models=inside["models"], **inside)


def fill(folder: RunFolder) -> None:
    (folder.models / "net_g_4.safetensors").write_bytes(b"weights")
    (folder.training_states / "4.state").write_bytes(b"state")


@pytest.mark.parametrize("key", ["models", "training_states"])
def test_folder_of_another_run_is_refused(tmp_path, key):
    shared = {key: tmp_path / "shared"}
    first, second = run_at(tmp_path / "A", **shared), run_at(tmp_path / "B", **shared)
    claim(first)
    text = rf"path\.{key}: .*shared belongs to the run A \(.*A\)\. Runs cannot share folders.*path\.resume_state"
    with pytest.raises(ConfigError, match=text):  # A has saved nothing so far
        claim(second)
    fill(first)
    with pytest.raises(ConfigError, match=text):
        refuse_foreign(second)
    claim(first)
    assert not (second.root / MARK).exists()


def test_runs_of_one_name_are_told_apart(tmp_path):
    shared = tmp_path / "shared"
    first = run_at(tmp_path / "one/run", models=shared)
    claim(first)
    fill(first)
    with pytest.raises(ConfigError, match="belongs to the run run"):
        claim(run_at(tmp_path / "two/run", models=shared))


def test_folder_inside_another_run_is_refused(tmp_path):
    first = run_at(tmp_path / "A")
    claim(first)
    fill(first)
    second = run_at(tmp_path / "B", models=first.models)
    with pytest.raises(ConfigError, match=r"path\.models: .*A/models belongs to the run A"):
        claim(second)


def test_files_that_no_run_has_marked_are_refused_outside_the_root_only(tmp_path):
    folder = run_at(tmp_path / "A", training_states=tmp_path / "states")
    (folder.models / "net_g_4.safetensors").write_bytes(b"inside")
    claim(folder)
    for path in (folder.root / MARK, folder.training_states / MARK):
        path.unlink()
    fill(folder)
    with pytest.raises(ConfigError, match=r"path\.training_states: .* has files of an unknown run"):
        claim(folder)
    folder.metrics.touch()  # a run that was started before runs marked their folders
    claim(folder)


def test_moved_run_keeps_its_folders(tmp_path):
    before = run_at(tmp_path / "here/A", models=tmp_path / "here/models")
    claim(before)
    fill(before)
    shutil.move(tmp_path / "here", tmp_path / "there")
    after = run_at(tmp_path / "there/A", models=tmp_path / "there/models")
    claim(after)
    assert read_owner(after.models) == read_owner(after.root)
    shutil.copytree(after.root, tmp_path / "there/B")
    claim(run_at(tmp_path / "there/B"))  # what lies inside a copy is its own, what lies outside is not
    with pytest.raises(ConfigError, match="belongs to the run A"):
        claim(run_at(tmp_path / "there/B", models=after.models))


def test_lost_or_damaged_mark_of_the_root_blocks_nothing(tmp_path):
    folder = run_at(tmp_path / "A", models=tmp_path / "models")
    claim(folder)
    fill(folder)
    for text in ("", "[" * 9_000, "[]", '{"run": 1}', None):
        path = folder.root / MARK
        path.unlink() if text is None else path.write_text(text)
        claim(folder)
        assert read_owner(folder.root) == read_owner(folder.models) is not None


def test_empty_folder_of_a_run_that_is_gone_is_free(tmp_path):
    folder = run_at(tmp_path / "A", models=tmp_path / "models")
    claim(folder)
    shutil.rmtree(folder.root)
    other = replace(run_at(tmp_path / "B"), models=folder.models)
    claim(other)
    assert read_owner(folder.models) == read_owner(other.root)


def test_unchanged_marks_are_not_written_again(tmp_path):
    folder = run_at(tmp_path / "A")
    claim(folder)
    before = (folder.root / MARK).stat().st_mtime_ns, (folder.models / MARK).stat().st_ino
    claim(folder)
    assert before == ((folder.root / MARK).stat().st_mtime_ns, (folder.models / MARK).stat().st_ino)


def test_folders_whose_names_are_no_unicode_are_marked(tmp_path):
    try:
        folder = run_at(tmp_path / "caf\udce9")
    except OSError:
        pytest.skip("this file system wants Unicode")
    claim(folder)
    assert read_owner(folder.models) == read_owner(folder.root) is not None


@pytest.mark.parametrize("change", [{"run": 5}, {"name": []}, {"root": "a\0b"}, {"root": ""}, {"name": None}])
def test_marks_of_other_kinds_are_none(tmp_path, change):
    folder = run_at(tmp_path / "A")
    claim(folder)
    known = json.loads((folder.root / MARK).read_text())
    assert read_owner(folder.root) is not None
    (folder.root / MARK).write_text(json.dumps(known | change))
    assert read_owner(folder.root) is None
