"""Proportions of the sources: files, functions, annotations, rooms, imports.

    python -m benchmarks.house [CHECKOUT]

Counts what stands below `traiNNer/` of a checkout, by default of this one. An import arrow is a pair of modules, one of
which imports the other or a name of it.
"""

import argparse
import ast
import statistics
import sys
from collections import Counter
from pathlib import Path

PACKAGE = "traiNNer"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def spread(numbers: list[int]) -> str:
    """Return median, nine in ten at most, longest."""
    ordered = sorted(numbers)
    return f"{statistics.median(ordered):g}, {ordered[int(0.9 * (len(ordered) - 1))]}, {ordered[-1]}"


def is_annotated(function: Function) -> bool:
    """Whether the result and every argument but `self` and `cls` have a type."""
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    bare = [one for one in arguments if one and one.annotation is None and one.arg not in ("self", "cls")]
    return function.returns is not None and not bare


def arrows(sources: dict[str, ast.Module]) -> set[tuple[str, str]]:
    """Return the pairs of modules of which the first imports the second."""
    found = set()
    for name, tree in sources.items():
        for node in ast.walk(tree):
            wanted = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
            for target in wanted:
                module = target if target in sources else target.rpartition(".")[0]
                if module in sources and module != name:
                    found.add((name, module))
    return found


def room(module: str) -> str:
    """Return what lies directly below the package that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def rows(root: Path) -> list[tuple[str, str]]:
    """Return the figures of a checkout."""
    files = sorted((root / PACKAGE).rglob("*.py"))
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in files}
    sources = {names[path]: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in files]
    functions = [node for tree in sources.values() for node in ast.walk(tree) if isinstance(node, Function)]
    bodies = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
    share = sum(map(is_annotated, functions)) / max(1, len(functions))
    packages = {path.parent for path in files if path.parent != root / PACKAGE}
    direct = {path for path in packages if path.parent == root / PACKAGE}
    largest = Counter(path.parent for path in files if path.name != "__init__.py").most_common(1)[0]
    found = arrows(sources)
    between = {(room(a), room(b)) for a, b in found if room(a) != room(b)}
    return [
        ("files", str(len(files))),
        ("lines of a file: median, nine in ten at most, longest", spread(lengths)),
        ("functions", f"{len(functions):,}"),
        ("lines of a function: median, nine in ten at most, longest", spread(bodies)),
        ("annotated", f"{share:.0%}".replace("%", " %")),
        ("lines in all", f"{sum(lengths):,}"),
        ("rooms: directly below the package, and with those inside them", f"{len(direct)}, {len(packages)}"),
        ("files in the largest room", f"{largest[1]} (`{largest[0].relative_to(root / PACKAGE)}/`)"),
        ("import arrows between what lies directly below the package", str(len(between))),
        ("import arrows between modules", str(len(found))),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the table. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("checkout", type=Path, nargs="?", default=Path(__file__).resolve().parents[1])
    table = "\n".join(f"| {name} | {value} |" for name, value in rows(parser.parse_args(arguments).checkout))
    sys.stdout.write(f"| | |\n|---|---|\n{table}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
