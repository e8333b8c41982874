import pytest

from traiNNer import errors
from traiNNer.errors import ConfigError, Interrupted, Problem, RunError

CODES = {
    "RunError": 1, "ConfigError": 2, "DataError": 3, "MetricError": 3, "CheckpointError": 4, "FolderGone": 4,
    "TrainingDiverged": 5,
    "FolderInUse": 6, "CannotWrite": 7, "OutOfMemory": 8, "TooFewHandles": 9, "TooFewAddresses": 9,
}  # fmt: skip


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_codes(name, code):
    error = getattr(errors, name)("why")
    assert isinstance(error, RunError)
    assert (error.exit_code, str(error)) == (code, "why")


def test_signal_stop_has_the_shell_exit_code():
    assert [Interrupted("stopped", number).exit_code for number in (2, 15)] == [130, 143]


def test_problems_are_aligned_in_columns():
    problems = (Problem("a.b", "is wrong", 3, "7"), Problem("long.key", "is missing", 12), Problem("--set c", "no"))
    error = ConfigError("my.yml", problems)
    assert error.problems == problems
    assert str(error).splitlines() == [
        "my.yml: 3 problems",
        "  line 3   a.b = 7   is wrong",
        "  line 12  long.key  is missing",
        "           --set c   no",
    ]


def test_problem_count_singular_and_none():
    assert str(ConfigError("my.yml", [Problem("a", "is wrong")])).splitlines()[0] == "my.yml: 1 problem"
    assert str(ConfigError("just this")) == "just this"


def test_long_value_does_not_push_the_messages_away():
    (_, long, short) = str(ConfigError("f", [Problem("a", "x", 1, "v" * 200), Problem("b", "y", 2)])).splitlines()
    assert long.endswith(f"{'v' * 200}  x")
    assert short == f"  line 2  {'b':<60}  y"
