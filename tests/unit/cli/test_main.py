"""`trainner train` and `trainner test` are train.py and test.py."""

import re
import signal

import pytest
from runkit import write_options

from traiNNer import cli
from traiNNer.cli import test as test_command
from traiNNer.cli import train as train_command
from traiNNer.cli.main import COMMANDS
from traiNNer.errors import ConfigError


@pytest.fixture(autouse=True)
def signals():
    """Undo what the end of a run does to the terminate signal of this process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(params=["train.py", "trainner train"])
def train(request):
    """Return train.py, or the sub-command."""
    return train_command.main if request.param == "train.py" else lambda arguments: cli.main(["train", *arguments])


@pytest.fixture
def calls(monkeypatch):
    """Return what training and testing were called with, in the place of both."""
    seen = []
    for name in ("train", "test"):
        fake = lambda loaded, book, name=name, **given: seen.append((name, loaded.options, given)) or "finished"  # noqa: E731
        monkeypatch.setattr(f"traiNNer.run.{name}.{name}", fake)
    return seen


def test_arguments_reach_the_training(train, calls, tmp_path):
    path = write_options(tmp_path)
    assert train(["-opt", str(path), "--set", "train.total_iter=7", "--check", "--auto_resume"]) == 0
    ((name, options, given),) = calls
    assert (name, options.train.total_iter, options.auto_resume) == ("train", 7, True)
    assert given == {"check": True, "overwrite": False}
    assert train(["-opt", str(path), "--overwrite"]) == 0
    assert calls[1][1].auto_resume is False
    assert calls[1][2] == {"check": False, "overwrite": True}


@pytest.mark.parametrize("run", [test_command.main, lambda arguments: cli.main(["test", *arguments])])
def test_arguments_reach_the_test(run, calls, tmp_path):
    weights = {"path": {"pretrain_network_g": "w.pth"}, "train": None, "logger": None}
    sets = {"datasets": {"train": None, "val": None, "test": {"type": "PairedImageDataset", "dataroot_lq": "x"}}}
    path = write_options(tmp_path, weights | sets | {"val": {"val_freq": None}})
    assert run(["-opt", str(path), "--set", "scale=3"]) == 0
    ((name, options, given),) = calls
    assert (name, options.scale, given) == ("test", 3, {"check": False})


def test_an_error_ends_with_its_code_and_its_words(train, calls, monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        raise ConfigError("something is wrong")

    monkeypatch.setattr("traiNNer.run.train.train", fail)
    assert train(["-opt", str(write_options(tmp_path))]) == ConfigError.exit_code
    assert "something is wrong" in capsys.readouterr().out


def test_resuming_and_starting_anew_exclude_each_other(train, tmp_path):
    with pytest.raises(SystemExit) as end:
        train(["-opt", str(write_options(tmp_path)), "--auto_resume", "--overwrite"])
    assert end.value.code == 2


def test_every_file_of_a_command_is_one(capsys):
    from pkgutil import iter_modules

    shared = {"main", "guard", "option_file"}
    assert {module.name for module in iter_modules(cli.__path__)} - shared == {
        command.__name__.rpartition(".")[2] for command in COMMANDS
    }
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = re.findall(r"^    (\S+)", capsys.readouterr().out, re.MULTILINE)
    assert listed == [command.__name__.rpartition(".")[2].replace("_", "-") for command in COMMANDS]
