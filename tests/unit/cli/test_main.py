"""The command line: every command exists and returns its exit code."""

import re
from pkgutil import iter_modules

import pytest

from traiNNer import cli
from traiNNer.cli import demo
from traiNNer.cli.main import COMMANDS, main
from traiNNer.errors import DataError
from traiNNer.utils import limits


def test_every_file_of_a_command_is_one(capsys):
    shared = {"main", "guard", "option_file", "parser"}
    assert {module.name for module in iter_modules(cli.__path__)} - shared == {
        command.__name__.rpartition(".")[2] for command in COMMANDS
    }
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    (\S+)", capsys.readouterr().out, re.MULTILINE)
    assert listed == [command.__name__.rpartition(".")[2].replace("_", "-") for command in COMMANDS]


def test_version_names_what_a_report_needs(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"traiNNer \d+\.\d+\.\d+ \(torch \d\S+, Python 3\.\S+\)\n", capsys.readouterr().out)


@pytest.fixture
def ends(monkeypatch, capsys):
    """Return a function that runs a command with an injected call, and returns its exit code and error output."""

    def run(happens):
        monkeypatch.setattr(demo, "run", happens)
        return main(["demo"]), capsys.readouterr().err

    return run


def raising(error):
    def run(_):
        raise error

    return run


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (9, 9)])
def test_command_exit_code_is_the_process_exit_code(ends, returned, code):
    assert ends(lambda _: returned) == (code, "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("no images"), 3, "no images\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (
            PermissionError(13, "Permission denied", "x.yml"),
            7,
            "Cannot write x.yml (permission denied).\n",
        ),
    ],
)
def test_error_exits_with_its_code_and_message(ends, error, code, said):
    assert ends(raising(error)) == (code, said)


def test_internal_error_is_not_hidden(ends):
    with pytest.raises(ZeroDivisionError):
        ends(raising(ZeroDivisionError()))


def test_commands_without_torch_do_with_any_address_space(monkeypatch, capsys):
    monkeypatch.setattr(limits, "address_limit", lambda: 10**9)
    assert main(["schema"]) == 9
    assert "Too little address space" in capsys.readouterr().err
    assert main(["completion", "bash"]) == 0
