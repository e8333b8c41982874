"""Which components a package declares, read from its source: importing it would cost seconds."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def declared(package: str, folders: Iterable[str], decorator: str) -> dict[str, str]:
    """Return the names of a package's components with the module that registers each.

    Two forms are seen, at the top level of a module: `@decorator(...)` above a class or function, whose name in lower
    case it is unless `name="..."` is given; and `name = make("name", ...)` in a module that uses the decorator, for
    variants made by a function.

    Args:
        package: Name of the package.
        folders: Its `__path__`.
        decorator: What registers: `LOSSES.register` or `arch`.
    """
    return {
        name: module
        for folder in folders
        for file in sorted(Path(folder).rglob("*.py"))
        for module in [_module_name(package, file.relative_to(folder))]
        for name in _names(file.read_text(encoding="utf-8"), decorator)
    }


def _module_name(package: str, file: Path) -> str:
    return ".".join([package, *file.with_suffix("").parts]).removesuffix(".__init__")


def _names(source: str, decorator: str) -> Iterator[str]:
    if f"@{decorator}" not in source and f" {decorator}(" not in source:
        return  # most modules; parsing takes a hundred times as long as looking
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for mark in node.decorator_list:
                call, keywords = (mark.func, mark.keywords) if isinstance(mark, ast.Call) else (mark, [])
                if ast.unparse(call) == decorator:
                    given = [word.value for word in keywords if word.arg == "name"]
                    yield str(given[0].value) if given and isinstance(given[0], ast.Constant) else node.name.lower()
        elif isinstance(node, ast.Assign):
            yield from _variant(node)


def _variant(node: ast.Assign) -> Iterator[str]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[ast.Constant(value=first), *_])):
            if name == first:
                yield name
