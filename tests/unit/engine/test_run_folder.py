import os
import re
import shutil
import subprocess
import sys

import pytest

from traiNNer.engine import run_folder
from traiNNer.engine.run_folder import FolderLock, RunFolder, create
from traiNNer.errors import CannotWrite, FolderInUse

HOLD = """
import sys, time
from pathlib import Path
from traiNNer.engine.run_folder import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_run_folder_lock_names_its_owner_and_dies_with_it(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "locked\n"
        before = (tmp_path / ".lock").read_text()
        with pytest.raises(
            FolderInUse, match=rf"in use by process {owner.pid} on host \S+ since .*Choose another name"
        ):
            FolderLock(tmp_path).__enter__()
        assert (tmp_path / ".lock").read_text() == before
    finally:
        owner.kill()
        owner.communicate()
    with FolderLock(tmp_path):
        assert re.search(rf'"pid": {os.getpid()}', (tmp_path / ".lock").read_text())


def test_second_run_in_the_same_process_is_refused_and_harms_nothing(tmp_path):
    with FolderLock(tmp_path):
        with pytest.raises(FolderInUse, match="is in use by another run of this process"):
            FolderLock(tmp_path).__enter__()
        other = [sys.executable, "-c", HOLD, str(tmp_path)]
        done = subprocess.run(other, capture_output=True, text=True, check=False)
        assert f"in use by process {os.getpid()}" in done.stderr  # the refused one did not free the lock
    with FolderLock(tmp_path):
        pass


def test_link_in_place_of_the_lock_is_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.lock").symlink_to(victim)
    with pytest.raises(CannotWrite, match=r"\.lock \(it is a link, which is not followed: remove it"):
        FolderLock(tmp_path / "run").__enter__()
    assert victim.read_text() == "precious"


def test_write_test_follows_no_planted_link(tmp_path, monkeypatch):
    places = {name: tmp_path / "run" / name for name in ("models", "training_states", "log", "visualization")}
    folder = RunFolder(tmp_path / "run", resume_models=places["models"], **places)
    monkeypatch.setattr(run_folder.secrets, "token_hex", lambda _: "guessed")
    folder.root.mkdir()
    (folder.root / ".write-test-guessed").symlink_to(tmp_path / "victim")
    with pytest.raises(CannotWrite):
        create(folder)
    assert not (tmp_path / "victim").exists()


def test_lock_knows_where_its_folder_went(tmp_path):
    root, moved = tmp_path / "run", tmp_path / "other"
    root.mkdir()
    lock = FolderLock(root)
    with lock:
        assert lock.is_in_place()
        root.rename(moved)
        assert not lock.is_in_place()
        root.mkdir()
        with FolderLock(root):  # a second run of the name
            assert not lock.is_in_place()
            assert lock.moved_to() == moved
        shutil.rmtree(moved)
        assert lock.moved_to() is None


def test_folders_move_with_their_root(tmp_path):
    inside, outside = tmp_path / "run/models", tmp_path / "elsewhere"
    folder = RunFolder(tmp_path / "run", inside, inside, outside, tmp_path / "run/log", tmp_path / "run/visualization")
    moved = folder.at(tmp_path / "new")
    assert (moved.root, moved.models) == (tmp_path / "new", tmp_path / "new/models")
    assert (moved.log, moved.training_states) == (tmp_path / "new/log", outside)


def test_lock_with_other_content_still_keeps_out(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout.readline() == "locked\n"
            for text in ("[" * 10_000, "5", "[]", '{"pid": [1], "host": "a", "since": "b"}', ""):
                (tmp_path / ".lock").write_text(text)
                with pytest.raises(FolderInUse, match="is in use by another process"):
                    FolderLock(tmp_path).__enter__()
        finally:
            owner.kill()
