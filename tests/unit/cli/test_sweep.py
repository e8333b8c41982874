import json

import pytest
from runkit import workplace, write_options

from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import ConfigError, TrainingDiverged
from traiNNer.sweep import command
from traiNNer.sweep.command import Request, run_sweep

TINY = {
    "network_g": {"type": "compact", "num_feat": 4, "num_conv": 1},
    "train": {"total_iter": 2, "scheduler": None},
    "val": {"val_freq": 2, "metrics": {"psnr": {}, "ssim": None}},
    "logger": {"print_freq": 2},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    write_options(workplace(tmp_path, 2), TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def swept(*axes, **asked):
    return run_sweep(Request(command.Path("options.yml"), axes, **asked), Logbook(quiet=True))


def runs(folder):
    return sorted(path.parent.name for path in folder.glob("*/metrics.jsonl"))


def test_grid_is_trained_compared_and_continued(place, capsys, monkeypatch):
    """The command of docs/sweep.md."""
    trained = []
    real = command.train
    monkeypatch.setattr(
        command,
        "train",
        lambda loaded, *rest, **named: trained.append(loaded.options.name) or real(loaded, *rest, **named),
    )
    ended = swept("train.optim_g.lr=1e-3,2e-3", seeds=2)
    folder = place / "experiments" / "run_sweep"
    names = ["lr-1e-3_seed-7", "lr-1e-3_seed-8", "lr-2e-3_seed-7", "lr-2e-3_seed-8"]
    assert ended == "finished: 4 runs compared in experiments/run_sweep/comparison.md"
    assert runs(folder) == trained == names
    text = (folder / "comparison.md").read_text()
    assert "lr-1e-3_seed-7 (2 seeds) | lr-2e-3_seed-7 (2 seeds)" in text
    assert "mean ± standard deviation over seeds" in text
    before = {name: (folder / name / "models/net_g_2.safetensors").read_bytes() for name in names}
    swept("train.optim_g.lr=1e-3,2e-3,4e-3", seeds=2)
    assert runs(folder) == [*names, "lr-4e-3_seed-7", "lr-4e-3_seed-8"]
    assert {name: (folder / name / "models/net_g_2.safetensors").read_bytes() for name in names} == before


def test_search_writes_trials_and_goes_on_where_it_stopped(place, monkeypatch):
    pytest.importorskip("optuna")
    axis, folder = "train.optim_g.lr=1e-4..1e-2", place / "experiments" / "found"
    real, calls = command.train, []

    def stopped(loaded, *rest, **named):
        calls.append(loaded.options.name)
        if len(calls) == 2:
            raise command.RunError("stopped by somebody")
        return real(loaded, *rest, **named)

    monkeypatch.setattr(command, "train", stopped)
    with pytest.raises(command.RunError, match="stopped by somebody"):
        swept(axis, trials=2, name="found")
    proposed = json.loads((folder / "sweep.json").read_text())["trials"]
    assert [trial["score"] is None for trial in proposed] == [False, True]
    assert swept(axis, trials=2, name="found").startswith("finished: 2 runs compared")
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    assert [trial["values"] for trial in trials] == [trial["values"] for trial in proposed]
    assert all(trial["score"] > 0 for trial in trials)
    assert runs(folder) == ["trial-001_seed-7", "trial-002_seed-7"]
    assert "## Trials, the best first" in (folder / "comparison.md").read_text()


def test_run_that_diverges_is_a_result(place, monkeypatch):
    real = command.train

    def train(loaded, *rest, **named):
        if loaded.options.train.optim_g.options.lr > 1e-3:
            raise TrainingDiverged("loss/l1 is not finite\nmore")
        return real(loaded, *rest, **named)

    monkeypatch.setattr(command, "train", train)
    assert swept("train.optim_g.lr=1e-3,1").startswith("finished: 1 run compared")
    text = (place / "experiments/run_sweep/comparison.md").read_text()
    assert "| lr-1_seed-7 | loss/l1 is not finite |" in text
    monkeypatch.setattr(command, "train", lambda *_, **__: pytest.fail("nothing is left to train"))
    with pytest.raises(TrainingDiverged, match="every run of the sweep failed"):
        swept("train.optim_g.lr=1")


@pytest.mark.parametrize(
    ("axes", "asked", "said"),
    [
        (["train.optim_g.lr=1e-4..1e-2"], {}, "is a range, which needs --trials N"),
        ([], {"trials": 2}, "--trials needs something to vary"),
        (
            ["train.optim_g.lr=1e-4..1e-2"],
            {"trials": 2, "overrides": ["val.metrics=null"]},
            "needs a validation with metrics",
        ),
        (["train.optim_g.lr=1e-3"], {"seeds": 0}, "--seeds and --trials must be at least 1"),
        (["train.optim_g.lr=1e-3"], {"name": "a/b"}, '--name "a/b" is not allowed'),
        (["train.optim_g.speed=1"], {}, "unknown option"),
    ],
)
def test_request_that_cannot_be_met_is_refused(place, axes, asked, said):
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match=said):
        swept(*axes, **asked)
    assert not (place / "experiments").exists()


def test_folder_of_a_run_is_no_sweep(place):
    (place / "experiments/run").mkdir(parents=True)
    (place / "experiments/run/metrics.jsonl").write_text("")
    with pytest.raises(ConfigError, match="is a run: give the sweep another --name"):
        swept("train.optim_g.lr=1e-3", name="run")


def test_check_trains_nothing(place):
    pytest.importorskip("optuna")
    assert swept("train.optim_g.lr=1e-3,2e-3", check=True) == "checked: the options of 2 runs are in order"
    ended = swept("train.optim_g.lr=1e-4..1e-2", check=True, trials=3)
    assert ended == "checked: the options of the first trial are in order"
    assert not (place / "experiments").exists()


def test_files_with_stages_are_refused(place):
    (place / "options.yml").write_text("stages:\n  - name: a\n")
    with pytest.raises(ConfigError, match="has stages; a sweep trains files without"):
        swept("a=1")


def test_command_ends_with_the_code_of_the_error(place, capsys):
    from traiNNer.cli.main import main

    assert main(["sweep", "-opt", "options.yml", "train.optim_g.lr=1e-3", "--seeds", "0"]) == 2
    assert "--seeds and --trials must be at least 1" in capsys.readouterr().out
