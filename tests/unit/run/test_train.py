"""A training run, from options to its result."""

import pytest
import torch
import yaml

from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import FolderLock
from traiNNer.engine.trainer import Trainer
from traiNNer.errors import OutOfMemory
from traiNNer.run.train import train


@pytest.fixture
def go(loaded, capsys):
    """Return a function that trains and returns its result and log."""

    def run(*sets, check=False, overwrite=False):
        given, log = loaded(*sets), Logbook()
        try:
            return train(given, log, check=check, overwrite=overwrite), capsys.readouterr().out
        finally:
            log.close()

    return run


def test_checking_prints_the_options_and_writes_nothing(go, place):
    ended, said = go(check=True)
    assert ended == "checked: options, data and shapes are in order"
    assert "num_feat: 8" in said
    assert not (place / "experiments").exists()


def test_run_saves_given_and_effective_options(go, place):
    ended, said = go()
    assert ended == "finished: 2/2"
    assert "paragonsr2 2x: " in said
    assert "; 5 images" in said
    root = place / "experiments/run"
    assert (root / "options.yml").read_text() == (place / "options.yml").read_text()
    assert yaml.safe_load((root / "resolved.yml").read_text())["train"]["total_iter"] == 2
    assert (root / "training_states/2.state").exists()


def test_finished_run_has_nothing_left_to_do(go):
    go()
    ended, said = go("auto_resume=true")
    assert ended.startswith("finished: 2/2 (nothing left to do; raise train.total_iter")
    assert "Resuming run at iteration 2 (exact)." in said


def test_resumes_and_reports_it(go):
    go()
    ended, said = go("auto_resume=true", "train.total_iter=3")
    assert ended == "finished: 3/3"
    assert "Resuming run at iteration 2" in said


def test_overwritten_run_is_archived(go, place):
    go()
    ended, said = go("train.total_iter=1", overwrite=True)
    assert ended == "finished: 1/1"
    assert "--overwrite: the old run is kept as " in said
    folders = sorted(path.name for path in (place / "experiments").iterdir())
    assert len(folders) == 2
    old = place / "experiments" / next(name for name in folders if name != "run")
    assert (old / "training_states/2.state").exists()
    assert not (place / "experiments/run/training_states/2.state").exists()


def test_folder_is_locked_during_training_and_released_after(go, monkeypatch):
    events = []
    enter, leave, run = FolderLock.__enter__, FolderLock.__exit__, Trainer.run
    monkeypatch.setattr(FolderLock, "__enter__", lambda self: events.append("locked") or enter(self))
    monkeypatch.setattr(FolderLock, "__exit__", lambda self, *error: events.append("free") or leave(self, *error))
    monkeypatch.setattr(Trainer, "run", lambda self, *given: events.append("trains") or run(self, *given))
    go()
    assert events == ["locked", "trains", "free"]


def test_oom_is_reported_with_what_to_change(go, monkeypatch):
    def fail(self, *_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "run", fail)
    words = r"Out of memory at batch 2 \(iteration 0\)\. Try datasets\.train\.batch_size_per_gpu: 1 with accum_iter: 2"
    with pytest.raises(OutOfMemory, match=words):
        go()


def test_other_errors_propagate_and_close_the_loader(go, monkeypatch):
    closed = []

    class Loader:
        notices = ()

        def close(self):
            closed.append(1)

    def fail(self, *_):
        raise RuntimeError("something else")

    monkeypatch.setattr(Trainer, "run", fail)
    monkeypatch.setattr("traiNNer.run.train.build_loader", lambda *_: Loader())
    with pytest.raises(RuntimeError, match="something else"):
        go()
    assert closed == [1]
