"""A training run, from options to its result."""

import json
import shutil
import sys

import pytest
import torch
import yaml

from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import FolderLock
from traiNNer.engine.runtime.ranks import Ranks
from traiNNer.engine.trainer import Trainer
from traiNNer.engine.training import Training
from traiNNer.errors import CheckpointError, ConfigError, OutOfMemory
from traiNNer.run import train as start
from traiNNer.run.train import train


@pytest.fixture
def go(loaded, capsys):
    """Return a function that trains and returns its result and log."""

    def run(*sets, check=False, overwrite=False, clock=None):
        given, log = loaded(*sets), Logbook()
        try:
            return train(given, log, check=check, overwrite=overwrite, clock=clock), capsys.readouterr().out
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


class Ticking:
    """A clock that counts iterations instead of seconds."""

    def __init__(self, monkeypatch):
        self.now, advance = 0.0, Training.advance

        def tick(training, batches):
            self.now += 1
            return advance(training, batches)

        monkeypatch.setattr(Training, "advance", tick)

    def __call__(self):
        return self.now


def rates(place):
    lines = map(json.loads, (place / "experiments/run/metrics.jsonl").read_text().splitlines())
    return {line["iter"]: line["lr"] for line in lines if line["event"] == "train"}


TIMED = ("train.end_at=40s", "train.total_iter=1000", "logger.print_freq=1", "logger.save_checkpoint_freq=15")


def test_clock_ends_a_run_with_a_decay_to_zero_that_is_a_recorded_decision(go, place, monkeypatch):
    ended, said = go(*TIMED, clock=Ticking(monkeypatch))
    assert ended == "finished: 40/40"
    assert "train.end_at: about 40 iterations; the learning rate begins to fall after 28." in said
    assert "train.end_at: the learning rate falls to zero until iteration 40." in said
    assert (place / "experiments/run/training_states/40.state").exists()
    lrs = [rates(place)[iteration] for iteration in range(1, 41)]
    assert lrs[:28] == [1e-3] * 28
    assert lrs[28:] == pytest.approx([1e-3 * (40 - done) / 12 for done in range(28, 40)])
    decisions = [json.loads(line) for line in (place / "experiments/run/decisions.jsonl").read_text().splitlines()]
    assert [(one["automation"], one["action"], one["iter"], one["new"]) for one in decisions] == [
        ("end_at", "plan", 11, 40),
        ("end_at", "plan", 28, 40),
    ]


def test_resumed_run_goes_on_with_the_plan_and_the_time_that_is_left(go, place, monkeypatch):
    go(*TIMED, clock=Ticking(monkeypatch))
    whole = rates(place)
    (place / "experiments/run/training_states/40.state").unlink()
    clock = Ticking(monkeypatch)
    ended, said = go(*TIMED, "auto_resume=true", clock=clock)
    assert "Resuming run at iteration 30 (exact)" in said
    assert ended == "finished: 40/40"
    assert rates(place) == whole


def test_finished_run_by_the_clock_asks_for_more_time(go, monkeypatch):
    go(*TIMED, clock=Ticking(monkeypatch))
    ended, _ = go(*TIMED, "auto_resume=true", clock=lambda: 0.0)
    assert ended == "finished: 40/40 (nothing left to do; raise train.end_at to go on)"


def test_automations_know_the_planned_end(go, monkeypatch):
    told = []

    class Listening(Automation):
        def on_start(self, run):
            told.append((run.iteration, run.total_iter, run.schedule(39) < run.schedule(0)))
            return ()

    monkeypatch.setattr("traiNNer.run.automations.build_automations", lambda _: {"listening": Listening()})
    go(*TIMED, clock=Ticking(monkeypatch))
    assert told == [(0, 1000, False), (11, 40, True), (28, 40, True)]


def test_oom_is_reported_with_what_to_change(go, monkeypatch):
    def fail(self, *_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "run", fail)
    words = r"Out of memory at batch 2 \(iteration 1\)\. Try datasets\.train\.batch_size_per_gpu: 1 with accum_iter: 2"
    with pytest.raises(OutOfMemory, match=words):
        go()


def test_other_errors_propagate_and_close_the_loader(go, monkeypatch):
    closed = []

    class Loader:
        about = ""

        def news(self):
            return ()

        def close(self):
            closed.append(1)

    def fail(self, *_):
        raise RuntimeError("something else")

    monkeypatch.setattr(Trainer, "run", fail)
    monkeypatch.setattr("traiNNer.run.train.build_loader", lambda *_: Loader())
    with pytest.raises(RuntimeError, match="something else"):
        go()
    assert closed == [1]


SHARED = ("path.models=shared", "path.training_states=states")


def test_state_of_another_run_is_not_continued(go, place):
    go(*SHARED)
    before = sorted(path for path in place.rglob("*") if path.is_file())
    for sets in (("name=B", *SHARED, "auto_resume=true", "train.total_iter=3"), ("name=B", SHARED[1])):
        for check in (True, False):
            with pytest.raises(ConfigError, match=r"path\.training_states: states belongs to the run run"):
                go(*sets, check=check)
    assert before == sorted(path for path in place.rglob("*") if path.is_file())
    assert go(*SHARED, "auto_resume=true", "train.total_iter=3")[0] == "finished: 3/3"
    named = ("name=C", "path.resume_state=states/3.state", "path.resume_models=shared", "train.total_iter=4")
    assert "Resuming C at iteration 3" in go(*named)[1]


def test_deleted_states_end_a_resume(go, place):
    go()
    shutil.rmtree(place / "experiments/run/training_states")
    with pytest.raises(CheckpointError, match="has weights up to iteration 2, but their training states are not in"):
        go("auto_resume=true", "train.total_iter=3")
    assert (place / "experiments/run/models/net_g_2.safetensors").exists()


def test_pretrained_weights_are_reported_as_unused_on_resume(go):
    go()
    said = go("auto_resume=true", "path.pretrain_network_g=no_such_file.safetensors")[1]
    assert "path.pretrain_network_g is not used: the run continues with the weights of its checkpoint." in said


def test_best_scores_of_another_validation_are_set_aside(go, place):
    border = "val.metrics.psnr.crop_border={}".format
    go("val.val_freq=1", border(2))
    same = go("auto_resume=true", "train.total_iter=3", "val.val_freq=3", border(2))[1]
    assert "Earlier best weights" not in same
    said = go("auto_resume=true", "train.total_iter=4", "val.val_freq=4", border(4))[1]
    assert "The best psnr so far came from another validation and cannot be compared" in said
    assert "at iteration 4" in said.partition("best psnr: ")[2]
    models = place / "experiments/run/models"
    assert {path.name for path in models.glob("*best_psnr*")} == {
        "net_g_best_psnr.safetensors",
        "net_g_best_psnr.safetensors.superseded",
    }


def test_best_score_names_the_weights_that_could_be_saved(go, place, monkeypatch):
    save_best = CheckpointStore.save_best

    def full_disk_at_2(self, name, role, weights, about):
        if about["iteration"] == 2:
            raise OSError(28, "No space left on device")
        save_best(self, name, role, weights, about)

    monkeypatch.setattr(CheckpointStore, "save_best", full_disk_at_2)
    said = go("val.val_freq=1")[1]
    assert "Could not save the best psnr weights: no space left on device. Training continues." in said
    best = next(line for line in said.splitlines() if line.startswith("best psnr: "))
    assert best.endswith("at iteration 1")
    state = torch.load(place / "experiments/run/training_states/2.state", weights_only=True)
    about = read_weights(place / "experiments/run/models/net_g_best_psnr.safetensors").about
    assert state["best"]["psnr"] == [about["score"], about["iteration"]]


def test_folder_of_moved_weights_must_exist_and_is_of_use_at_a_resume_only(go):
    with pytest.raises(ConfigError, match=r"path\.resume_models: no such folder moved\. The nearest that exists is "):
        go("path.resume_models=moved", check=True)
    said = go("path.resume_models=data")[1]
    assert "path.resume_models has no effect: nothing is resumed." in said
    said = go("path.resume_models=data", "auto_resume=true", "train.total_iter=3")[1]
    assert "path.resume_models" not in said
    assert "Resuming run at iteration 2" in said


def test_name_of_the_training_set_is_shown(go):
    assert "; 5 images (Photos of 2019)" in go("datasets.train.name=Photos of 2019")[1]
    assert "; 5 images\n" in go("name=other")[1]


def test_one_rank_compares_the_images_and_tells_the_others(go, monkeypatch):
    depth, asked, on_main = [], [], Ranks.on_main

    def only_here(ranks, work):
        depth.append(work)
        try:
            return on_main(ranks, work)
        finally:
            depth.pop()

    monkeypatch.setattr(Ranks, "on_main", only_here)
    for name in ("different_pictures", "validation_overlap"):
        monkeypatch.setattr(start, name, lambda sets, name=name: asked.append(len(depth)) or [f"{name} of {len(sets)}"])
    said = go(check=True)[1]
    assert asked == [1, 1]
    assert "Warning: different_pictures of 2\nWarning: validation_overlap of 2\n" in said


def test_compiling_is_announced(go, monkeypatch):
    monkeypatch.setenv("CXX", sys.executable)  # found, but not called
    monkeypatch.setattr(torch, "compile", lambda network: network)
    text = "use_compile: the first iteration and the first validation compile the network, often for minutes."
    assert text in go("use_compile=true")[1]
