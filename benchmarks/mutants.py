"""Remove one statement at a time, run the tests, and print the mutants that survive.

    python -m benchmarks.mutants                                     # every default target
    python -m benchmarks.mutants --target optim/schedules.py --target metrics/psnr.py:PSNR.__call__
    python -m benchmarks.mutants --target engine/step.py:Stepper --tests tests/unit/engine/test_step.py

A target is a file below `traiNNer/`, with the qualified name of a function or class if not all of it. The tests run in
a copy of the tree; a mutant that hangs counts as killed. Exit code 1: some survive. 2: the tests fail without any.
"""

import argparse
import ast
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
GRACE_S = 30.0
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "experiments", "results", "datasets", "*.egg-info", "tb_logger")
TESTS = {
    "optim/schedules.py": ["tests/unit/optim/test_schedules.py", "tests/contracts/test_schedules.py"],
    "metrics/psnr.py": ["tests/unit/metrics/test_psnr.py", "tests/unit/metrics/test_protocol.py"],
    "metrics/ssim.py": ["tests/unit/metrics/test_ssim.py", "tests/unit/metrics/test_protocol.py"],
    "engine/step.py": ["tests/unit/engine/test_step.py", "tests/unit/engine/test_retry.py"],
    "engine/learner.py": [
        "tests/unit/engine/test_trainer.py",
        "tests/unit/engine/test_learner.py",
        "tests/unit/engine/test_snapshot.py",
    ],
    "engine/checkpoint/state.py": ["tests/unit/engine/checkpoint/test_state.py", "tests/unit/engine/test_trainer.py"],
    "engine/snapshot.py": ["tests/unit/engine/test_snapshot.py", "tests/unit/engine/test_learner.py"],
    "engine/training.py:Training.state": ["tests/unit/engine/test_trainer.py"],
    "engine/trainer.py:Trainer._save": ["tests/unit/engine/test_trainer.py"],
    "engine/trainer.py:Trainer.restore": ["tests/unit/engine/test_trainer.py"],
    "engine/trainer.py:Trainer.state": ["tests/unit/engine/test_trainer.py"],
}


@dataclass(frozen=True)
class Mutant:
    """A source without one of its statements."""

    line: int
    statement: str
    source: str


def mutants(source: str, name: str = "") -> list[Mutant]:
    """Return the source once without each statement of the functions below a qualified name (all, if it is empty)."""
    functions = [node for at, node in _functions(ast.parse(source)) if f"{at}.".startswith(f"{name}." if name else "")]
    if not functions:
        raise SystemExit(f"no function '{name}'")
    found = {(node.lineno, node.col_offset): node for function in functions for node in _statements(function)}
    return [_without(source, node) for _, node in sorted(found.items())]


def _functions(tree: ast.AST, at: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            here = f"{at}.{node.name}".lstrip(".")
            if isinstance(node, ast.FunctionDef):
                yield here, node
            yield from _functions(node, here)


def _statements(function: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(function):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and node is not function and not is_text and not isinstance(node, ast.Pass):
            yield node


def _without(source: str, node: ast.stmt) -> Mutant:
    lines = source.splitlines(keepends=True)
    assert node.end_lineno is not None
    before, after = lines[: node.lineno - 1], lines[node.end_lineno :]
    first = lines[node.lineno - 1].encode()[: node.col_offset].decode()
    last = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
    statement = ast.unparse(node).splitlines()[0]
    return Mutant(node.lineno, statement, "".join([*before, f"{first}pass{last}", *after]))


def passes(tree: Path, tests: list[str], limit_s: float | None = None) -> bool:
    """Run the tests in a tree; a timeout counts as failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command, cwd=tree, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        return child.wait(limit_s) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the tests and the processes that they started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def survivors(root: Path, file: str, name: str, tests: list[str]) -> tuple[list[Mutant], int]:
    """Return the surviving mutants of a target, and their total number. The tree itself is not changed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(root, tree, ignore=LEFT_OUT)
        started = time.monotonic()
        if not passes(tree, tests):
            raise SystemExit(f"the tests of {file} fail as it is: {' '.join(tests)}")
        limit_s = GRACE_S + 5 * (time.monotonic() - started)
        made = mutants((tree / file).read_text(encoding="utf-8"), name)
        alive = []
        for mutant in made:
            (tree / file).write_text(mutant.source, encoding="utf-8")
            if passes(tree, tests, limit_s):
                alive.append(mutant)
                print(f"survived  {file}:{mutant.line}  {mutant.statement}", flush=True)
        return alive, len(made)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", metavar="FILE[:NAME]", help=f"default: {', '.join(TESTS)}")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="default: those of the target")
    arguments = parser.parse_args()
    alive, every = 0, 0
    for target in arguments.target or TESTS:
        file, _, name = target.partition(":")
        tests = (
            arguments.tests
            or TESTS.get(target)
            or TESTS.get(file)
            or [f"tests/unit/{Path(file).parent}/test_{Path(file).stem}.py"]
        )
        left, count = survivors(ROOT, f"traiNNer/{file}", name, tests)
        print(f"{target}: {len(left)} of {count} survive", flush=True)
        alive, every = alive + len(left), every + count
    print(f"{alive} of {every} mutants survive")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
