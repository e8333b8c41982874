"""What is shown goes through `utils/printable.py`: a name of a file must not command the terminal."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "traiNNer"
WRITERS = {"print", "sys.stdout.write", "sys.stderr.write"}
SAFE = {"printable", "json.dumps"}
CONSOLE = "utils/console.py"
RESULTS = {"doctor/probes.py"}
"""Files that talk to their parent process, not to a terminal."""


def unsafe(tree: ast.AST) -> list[str]:
    """Return what is written to the terminal without being made printable."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITERS:
            for argument in node.args:
                names = {ast.unparse(part.func) for part in ast.walk(argument) if isinstance(part, ast.Call)}
                if not isinstance(argument, ast.Constant) and not names & SAFE:
                    found.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Console":
            found.append(ast.unparse(node))
    return found


def test_only_what_is_printable_is_printed():
    left_out = RESULTS | {CONSOLE, "engine/log/logbook.py"}  # the logbook makes its texts printable where they enter
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items() if name not in left_out}
    found = {name: unsafe(tree) for name, tree in trees.items()}
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize("statement", ["print(name)", "sys.stderr.write(f'{name}')", "Console(stderr=True)"])
def test_raw_name_is_found(statement):
    assert unsafe(ast.parse(statement)) == [ast.unparse(ast.parse(statement))]
    assert unsafe(ast.parse("print(printable(name), file=sys.stderr)")) == []
