"""Imports point down, siblings do not know each other, and one file owns the device."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "traiNNer"
LAYER = {
    **dict.fromkeys(("registry", "traits", "batch", "errors", "utils"), 0),
    **dict.fromkeys(("config", "archs", "losses", "metrics", "data", "optim"), 1),
    "models": 2,
    "engine": 3,
    **dict.fromkeys(("automations", "report"), 4),
    **dict.fromkeys(("build", "build_helpers", "preflight", "app", "run", "zero_config", "audit"), 5),
    **dict.fromkeys(("cli", "__main__", "__init__"), 6),
}
RUNTIME_ONLY = ("torch.distributed", "torch.compile", "channels_last", "autocast", ".cuda(")
# What carries these words and only names them: an option key, and a message of `trainner doctor`.
ONLY_NAMES = {"use_channels_last", "torch.compile does not work here"}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Return the modules that are imported; `traiNNer.__init__` for the package's own names."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in found if name.startswith("traiNNer.")}
    names_of_root = {name for name in ours if not (PACKAGE / name.split(".")[1]).is_dir() and not is_module(name)}
    is_bare = names_of_root or any(
        alias.name == "traiNNer" for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    )
    return ours - names_of_root | ({"traiNNer.__init__"} if is_bare else set())


def is_module(name: str) -> bool:
    """Tell whether the part of the package that a name is in is a file."""
    return (PACKAGE / f"{name.split('.')[1]}.py").is_file()


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    here = part(path)
    for name in imports(ast.parse(path.read_text())):
        there = name.split(".")[1]
        if there == here or there not in LAYER:
            continue
        assert LAYER[there] <= LAYER[here], f"{here} imports {there}, which lies above it"
        sibling = LAYER[there] == LAYER[here] == 1
        assert not sibling, f"{here} imports its sibling {there}"


@pytest.mark.parametrize("statement", ["import traiNNer", "from traiNNer import build_network"])
def test_the_bare_package_counts_as_its_root(statement):
    assert imports(ast.parse(statement)) == {"traiNNer.__init__"}
    assert imports(ast.parse("from traiNNer import losses")) == {"traiNNer.losses"}


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_every_part_has_a_layer(path):
    assert part(path) in LAYER


def test_there_is_no_import_cycle():
    graph: dict[str, set[str]] = {}
    for path in files():
        module = "traiNNer." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        graph[module] = imports(ast.parse(path.read_text()))
    graph = {module: {name for name in names if name in graph} for module, names in graph.items()}
    while ready := [module for module, names in graph.items() if not names & graph.keys() - {module}]:
        for module in ready:
            del graph[module]
    assert not graph, f"import cycle among {sorted(graph)}"


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_only_the_runtime_names_devices_ranks_and_precision(path):
    if path == PACKAGE / "engine/runtime.py":
        return
    text = path.read_text()
    for name in ONLY_NAMES:
        text = text.replace(name, "")
    assert not [word for word in RUNTIME_ONLY if word in text]
