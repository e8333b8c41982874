"""train.py and `trainner train` are one command."""

import pytest
from runkit import write_options

from traiNNer import cli
from traiNNer.cli import train as train_command
from traiNNer.errors import ConfigError


@pytest.fixture(params=["train.py", "trainner train"])
def train(request):
    """Return train.py, or the sub-command."""
    return train_command.main if request.param == "train.py" else lambda arguments: cli.main(["train", *arguments])


@pytest.fixture
def calls(replaced):
    return replaced("traiNNer.run.train.train")


def test_arguments_reach_the_training(train, calls, tmp_path):
    path = write_options(tmp_path)
    assert train(["-opt", str(path), "--set", "train.total_iter=7", "--check", "--auto_resume"]) == 0
    ((options, given),) = calls
    assert (options.train.total_iter, options.auto_resume) == (7, True)
    assert given.pop("clock")() >= 0
    assert given == {"check": True, "overwrite": False}
    assert train(["-opt", str(path), "--overwrite"]) == 0
    assert calls[1][0].auto_resume is False
    assert (calls[1][1]["check"], calls[1][1]["overwrite"]) == (False, True)


def test_error_exits_with_its_code_and_message(train, monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        raise ConfigError("something is wrong")

    monkeypatch.setattr("traiNNer.run.train.train", fail)
    assert train(["-opt", str(write_options(tmp_path))]) == ConfigError.exit_code
    assert "something is wrong" in capsys.readouterr().out


def test_resume_and_overwrite_are_exclusive(train, tmp_path):
    with pytest.raises(SystemExit) as end:
        train(["-opt", str(write_options(tmp_path)), "--auto_resume", "--overwrite"])
    assert end.value.code == 2


def test_invalid_file_is_refused_before_training(train, calls, tmp_path, capsys):
    path = write_options(tmp_path)
    assert train(["-opt", str(path), "--set", "train.total_iter=none"]) == ConfigError.exit_code
    assert calls == []
    assert "--set train.total_iter" in capsys.readouterr().out
