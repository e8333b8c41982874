"""Arguments of `trainner audit`."""

from pathlib import Path

import pytest

from traiNNer.audit import run as audit_run
from traiNNer.audit.run import AuditOptions
from traiNNer.cli import audit
from traiNNer.errors import ConfigError


@pytest.fixture
def asked(monkeypatch, parsed):
    """Return a function that runs the command and returns the arguments of the audit."""
    seen = []
    monkeypatch.setattr(audit_run, "run_audit", lambda options: seen.append(options) or 3)

    def run(*arguments):
        args = parsed(audit, "audit", "--gt", "photos/hr", *arguments)
        assert args.run(args) == 3, "the exit code is the audit's"
        return seen[-1]

    return run


def test_by_default_headers_are_read_and_nothing_is_written(asked):
    assert asked() == AuditOptions(gt=Path("photos/hr"))


def test_every_argument_is_passed(asked):
    found = asked("--lq", "lr", "--deep", "--against", "a", "--against", "b", "--val-gt", "v")
    assert found == AuditOptions(Path("photos/hr"), Path("lr"), True, (Path("a"), Path("b")), Path("v"))


def test_page_has_a_default_or_given_name(asked):
    assert asked("--html").html == Path("audit_hr.html")
    assert asked("--html", "x.html").html == Path("x.html")


def test_list_has_a_default_or_given_name(asked):
    assert asked("--fix", "list").list_file == Path("meta_info_hr.txt")
    assert asked("--fix", "list", "-o", "x.txt").list_file == Path("x.txt")


def test_list_name_without_a_list_is_refused(asked):
    with pytest.raises(ConfigError, match="add --fix list"):
        asked("-o", "x.txt")


def test_folder_must_be_given(parsed, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(audit, "audit")
    assert end.value.code == 2
    assert "--gt" in capsys.readouterr().err
