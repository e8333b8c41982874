import ast
import subprocess
import sys

import pytest

from benchmarks.mutants import ROOT, mutants, passes, survivors

SOURCE = '''"""Numbers."""


class Sum:
    """A sum."""

    def __init__(self):
        """Start at zero."""
        self.value = 0
        self.unused = "é"; self.calls = 0

    def add(self, number):
        if number > 0:
            self.value += number
        return self.value


def twice(number):
    return 2 * number
'''
TEST = """from numbers_kit import Sum, twice

def test_sum():
    one = Sum()
    assert one.add(2) == 2
    assert one.add(-1) == 2
    assert twice(3) == 6
"""


def test_each_statement_is_removed_once():
    found = mutants(SOURCE)
    assert [mutant.line for mutant in found] == [9, 10, 10, 13, 14, 15, 19]
    assert len({mutant.source for mutant in found}) == 7
    for mutant in found:
        ast.parse(mutant.source)
        assert "pass" in mutant.source.splitlines()[mutant.line - 1]


def test_name_chooses_a_class_or_a_function():
    assert [mutant.line for mutant in mutants(SOURCE, "Sum.add")] == [13, 14, 15]
    assert [mutant.line for mutant in mutants(SOURCE, "Sum")] == [9, 10, 10, 13, 14, 15]
    with pytest.raises(SystemExit, match=r"no function 'Sum\.ad'"):
        mutants(SOURCE, "Sum.ad")


def test_undetected_mutant_survives_and_the_tree_is_unchanged(tmp_path, capsys):
    (tmp_path / "numbers_kit.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TEST, encoding="utf-8")
    alive, count = survivors(tmp_path, "numbers_kit.py", "Sum.__init__", ["test_it.py"])
    assert [(mutant.line, mutant.statement) for mutant in alive] == [(10, "self.unused = 'é'"), (10, "self.calls = 0")]
    assert count == 3
    assert (tmp_path / "numbers_kit.py").read_text(encoding="utf-8") == SOURCE
    assert "survived  numbers_kit.py:10  self.unused = 'é'" in capsys.readouterr().out


def test_hanging_tests_have_not_passed(tmp_path):
    (tmp_path / "test_it.py").write_text("import time\n\ndef test_it():\n    time.sleep(3600)\n")
    assert not passes(tmp_path, ["test_it.py"], limit_s=2)


def test_already_failing_tests_are_refused(tmp_path):
    (tmp_path / "numbers_kit.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(SystemExit, match="fail as it is"):
        survivors(tmp_path, "numbers_kit.py", "", ["test_it.py"])


def test_command_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.mutants", "-h"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert "optim/schedules.py" in done.stdout
