import json
import shutil

import pytest
import torch
from bookkit import Book
from safetensors import safe_open

from traiNNer.engine.checkpoint.saver import Saver
from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.run_folder import FolderLock, RunFolder
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import CannotWrite, FolderGone, TrainingDiverged

WEIGHTS = {role: {"w": torch.ones(2)} for role in ("net_g", "net_g_ema", "net_d")}
ABOUT = {"net_g": {"arch": "up"}, "net_d": {"arch": "judge"}}


@pytest.fixture
def saver(tmp_path):
    places = {name: tmp_path / name for name in ("models", "training_states", "log", "visualization")}
    for place in places.values():
        place.mkdir()
    book = Book()
    book.warn_all = book.warnings.extend
    store = CheckpointStore(RunFolder(tmp_path, resume_models=places["models"], **places))
    return Saver(store, Runtime(torch.device("cpu"), "test"), book, ABOUT)


@pytest.fixture
def locked(tmp_path, saver):
    """Return a saver of a run in a folder that it has locked, and that folder."""
    root = tmp_path / "run"
    places = {name: root / name for name in ("models", "training_states", "log", "visualization")}
    for place in places.values():
        place.mkdir(parents=True)
    lock = FolderLock(root)
    with lock:
        store = CheckpointStore(RunFolder(root, resume_models=places["models"], **places), lock=lock)
        yield Saver(store, saver.runtime, saver.logbook, ABOUT), root


def test_renamed_folder_gets_the_last_checkpoint_and_ends_the_run(locked):
    saver, root = locked
    saver.save(1, 10, WEIGHTS, {"format": 2}, must_succeed=False)
    root.rename(root.with_name("moved"))
    root.mkdir()  # of a second run: nothing is written there
    with pytest.raises(FolderGone, match=r"It is now .*/moved, where iteration 2 was saved: rename it back"):
        saver.save(2, 10, WEIGHTS, {"format": 2}, must_succeed=False)
    assert list(root.iterdir()) == []
    assert CheckpointStore(saver.store.folder.at(root.with_name("moved"))).iterations() == [2, 1]
    assert saver.last == 2


def test_deleted_folder_is_not_made_anew(locked):
    saver, root = locked
    shutil.rmtree(root)
    for _ in range(2):
        with pytest.raises(FolderGone, match="Iteration 2 cannot be saved; no checkpoint was saved yet"):
            saver.save(2, 10, WEIGHTS, {"format": 2}, must_succeed=False)
    for write in (
        lambda: saver.save_best("psnr", 30.0, 2, "net_g", WEIGHTS["net_g"]),
        lambda: saver.keep_final("net_g", WEIGHTS["net_g"], None, 2),
        saver.refuse_lost_folder,
    ):
        with pytest.raises(FolderGone, match="was deleted or renamed while the run wrote to it"):
            write()
    assert not root.exists()


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_every_file_describes_the_network_of_its_role(saver):
    assert saver.last_good() == "no checkpoint was saved yet"
    saver.save(5, 10, WEIGHTS, {"format": 2}, must_succeed=False)
    assert saver.last == 5
    assert saver.last_good() == "last good checkpoint: 5"
    for role, arch in (("net_g", "up"), ("net_g_ema", "up"), ("net_d", "judge")):
        with safe_open(saver.store.folder.models / f"{role}_5.safetensors", "pt") as file:
            assert json.loads(file.metadata()["traiNNer"]) == {"arch": arch, "iteration": 5, "role": role}


def test_third_failure_in_a_row_ends_the_run(saver, monkeypatch):
    saver.save(1, 10, WEIGHTS, {"format": 2}, must_succeed=False)
    with monkeypatch.context() as broken:
        broken.setattr(saver.store, "save", full_disk)
        saver.save(2, 10, WEIGHTS, {}, must_succeed=False)
        saver.save(3, 10, WEIGHTS, {}, must_succeed=False)
    assert saver.last == 1
    assert "Could not save iteration 3:" in saver.logbook.warnings[1]
    assert saver.logbook.warnings[1].endswith("Training continues; last good checkpoint: 1.")
    saver.save(4, 10, WEIGHTS, {"format": 2}, must_succeed=False)  # a success resets the count
    monkeypatch.setattr(saver.store, "save", full_disk)
    saver.save(5, 10, WEIGHTS, {}, must_succeed=False)
    saver.save(6, 10, WEIGHTS, {}, must_succeed=False)
    with pytest.raises(CannotWrite, match="Stopped at 7/10; last good checkpoint: 4"):
        saver.save(7, 10, WEIGHTS, {}, must_succeed=False)


def test_failed_mandatory_save_ends_the_run(saver, monkeypatch):
    monkeypatch.setattr(saver.store, "save", full_disk)
    with pytest.raises(CannotWrite, match="Could not save iteration 10"):
        saver.save(10, 10, WEIGHTS, {}, must_succeed=True)


@pytest.mark.parametrize("role", WEIGHTS)
def test_nonfinite_weights_are_never_saved(saver, role):
    bad = WEIGHTS | {role: {"count": torch.tensor(1), "w": torch.tensor([1.0, float("inf")])}}
    with pytest.raises(TrainingDiverged, match=rf"{role}\.w is not finite at 5/10"):
        saver.save(5, 10, bad, {"format": 2}, must_succeed=False)
    assert list(saver.store.folder.models.iterdir()) == []


def test_final_network_is_the_best_or_the_current_one(saver, monkeypatch):
    models = saver.store.folder.models
    assert saver.keep_final("net_g", WEIGHTS["net_g"], None, 7) == "net_g_final, the weights of iteration 7"
    assert saver.save_best("psnr", 31.5, 6, "net_g", {"w": torch.full((2,), 6.0)})
    with safe_open(models / "net_g_best_psnr.safetensors", "pt") as file:
        about = json.loads(file.metadata()["traiNNer"])
    assert about == {"arch": "up", "iteration": 6, "metric": "psnr", "score": 31.5, "role": "net_g"}
    assert saver.keep_final("net_g", WEIGHTS["net_g"], "psnr", 7).endswith("the best by psnr")
    assert (models / "net_g_final.safetensors").read_bytes() == (models / "net_g_best_psnr.safetensors").read_bytes()
    monkeypatch.setattr(saver.store, "save_best", full_disk)
    assert saver.keep_final("net_g", WEIGHTS["net_g"], None, 8) == "none"
    assert not saver.save_best("psnr", 32.0, 8, "net_g", WEIGHTS["net_g"])
    assert [text.split(":")[0] for text in saver.logbook.warnings] == [
        "Could not save net_g_final",
        "Could not save the best psnr weights",
    ]


def test_weights_that_are_not_finite_are_never_the_best(saver):
    assert not saver.save_best("psnr", 6.56, 8, "net_g", {"w": torch.tensor([1.0, float("nan")])})
    assert saver.logbook.warnings == ["The best psnr weights are not replaced: net_g.w is not finite."]
    assert not list(saver.store.folder.models.glob("*best*"))
