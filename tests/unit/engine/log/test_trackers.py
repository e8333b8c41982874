import sys
from types import SimpleNamespace

import pytest

from traiNNer.config.options import LoggerSection
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.log.trackers import KINDS, Trackers, check_trackers, wanted
from traiNNer.errors import ConfigError


class Service:
    """Stands for a package and its run: notes every call."""

    def __init__(self, fails_at=""):
        self.calls, self.fails_at = [], fails_at

    def __getattr__(self, name):
        def call(*values, **options):
            if name == self.fails_at:
                raise RuntimeError("no network")
            self.calls.append((name, values, options))
            return self

        return call


def section(**projects):
    return LoggerSection.model_validate({name: {"project": project} for name, project in projects.items()})


@pytest.fixture
def follow(monkeypatch, tmp_path):
    """Return a function that follows two iterations with a service and returns its calls and the warnings."""

    def run(kind, fails_at="", code=0):
        service, warnings = Service(fails_at), []
        monkeypatch.setitem(sys.modules, kind, service)
        options = {"scale": 2, "train.losses[0].type": "l1loss"}
        trackers = Trackers(section(**{kind: "photos"}), "run", tmp_path, options, warnings.append)
        trackers.log({"val/set (a)/psnr": 30.0}, 4)
        trackers.log({"lr": 0.5}, 5)
        trackers.finish(code)
        return service.calls, warnings

    return run


def test_wandb_gets_project_options_numbers_and_the_end(follow, tmp_path):
    calls, _ = follow("wandb", code=5)
    name, _, about = calls[0]
    assert (name, about["project"], about["name"], about["dir"]) == ("init", "photos", "run", str(tmp_path))
    assert about["config"]["scale"] == 2
    assert calls[1:] == [
        ("log", ({"val/set (a)/psnr": 30.0},), {"step": 4}),
        ("log", ({"lr": 0.5},), {"step": 5}),
        ("finish", (), {"exit_code": 5}),
    ]


def test_mlflow_gets_names_that_it_allows(follow):
    calls, _ = follow("mlflow", code=5)
    assert [name for name, *_ in calls] == [
        *("set_experiment", "start_run", "log_params", "log_metrics", "log_metrics", "end_run")
    ]
    assert calls[0][1] == ("photos",)
    assert calls[2][1] == ({"scale": "2", "train.losses_0_.type": "l1loss"},)
    assert calls[3][1:] == (({"val/set _a_/psnr": 30.0},), {"step": 4})
    assert calls[-1][1] == ("FAILED",)


def test_trackio_gets_numbers_and_the_end(follow):
    calls, _ = follow("trackio")
    assert calls[0][2]["project"] == "photos"
    assert calls[2:] == [("log", ({"lr": 0.5},), {"step": 5}), ("finish", (), {})]


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_fails_is_off_with_one_line(follow, kind):
    for fails_at in ("init", "log", "log_metrics", "set_experiment"):
        calls, warnings = follow(kind, fails_at)
        failed = [f"logger.{kind} is off: RuntimeError: no network. Training continues."]
        is_used = (fails_at in ("log_metrics", "set_experiment")) == (kind == "mlflow")
        assert warnings == (failed if is_used else [])
        assert any(name in ("finish", "end_run") for name, *_ in calls) == (not is_used)


def test_only_a_project_switches_one_on():
    assert wanted(LoggerSection()) == []
    assert wanted(section(trackio="a", wandb="b")) == ["wandb", "trackio"]


def test_missing_package_is_told_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("traiNNer.traits.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"logger\.wandb needs the package wandb.*pip install 'trainner-sr\[wandb\]'"):
        check_trackers(section(wandb="photos"))
    check_trackers(LoggerSection())


def test_logbook_sends_curves_and_ends_them():
    seen = []
    book = Logbook(quiet=True)
    told = SimpleNamespace(log=lambda *one: seen.append(one), finish=seen.append)
    book.follow(told)
    book.event("train", 3, {"lr": 0.5, "loss/l1": float("nan")})
    book.event("run_started", 3, {"seed": 7})
    book.finish("stopped: x", 5)
    book.close()
    assert seen == [({"lr": 0.5}, 3), 5]
