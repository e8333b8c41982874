"""test.py and `trainner test` are one command."""

import pytest
from runkit import write_options

from traiNNer import cli
from traiNNer.cli import test as test_command
from traiNNer.errors import ConfigError

CHANGES = {
    "path": {"pretrain_network_g": "w.pth"},
    "datasets": {"train": None, "val": None, "test": {"type": "PairedImageDataset", "dataroot_lq": "x"}},
    "train": None,
    "logger": None,
    "val": {"val_freq": None},
}


@pytest.fixture(params=["test.py", "trainner test"])
def run(request):
    """Return test.py, or the sub-command."""
    return test_command.main if request.param == "test.py" else lambda arguments: cli.main(["test", *arguments])


@pytest.fixture
def calls(replaced):
    return replaced("traiNNer.run.test.test")


@pytest.mark.parametrize("check", [True, False])
def test_arguments_reach_the_test(run, calls, tmp_path, check):
    path = write_options(tmp_path, CHANGES)
    assert run(["-opt", str(path), "--set", "scale=3", *(["--check"] if check else [])]) == 0
    ((options, given),) = calls
    assert (options.scale, given) == (3, {"check": check})


def test_training_file_is_refused(run, calls, tmp_path, capsys):
    assert run(["-opt", str(write_options(tmp_path))]) == ConfigError.exit_code
    assert calls == []
    assert "belongs to an option file of train.py" in capsys.readouterr().out


def test_testing_never_resumes(run, tmp_path):
    with pytest.raises(SystemExit) as end:
        run(["-opt", str(write_options(tmp_path, CHANGES)), "--auto_resume"])
    assert end.value.code == 2
