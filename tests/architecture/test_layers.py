"""Imports point down the layers, siblings do not import each other, and one file owns the device."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "traiNNer"
LAYER = {
    **dict.fromkeys(("registry", "traits", "batch", "errors", "utils"), 0),
    **dict.fromkeys(("imaging", "degradations"), 1),
    **dict.fromkeys(("config", "archs", "losses", "metrics", "data", "optim"), 2),
    **dict.fromkeys(("models", "spandrel"), 3),
    "engine": 4,
    **dict.fromkeys(("automations", "report", "audit", "estimate", "doctor", "upscaling"), 5),
    **dict.fromkeys(("run", "export"), 6),
    "measuring": 7,
    **dict.fromkeys(("zero_config", "recipes", "papers", "sweep", "api"), 8),
    **dict.fromkeys(("cli", "__main__", "__init__"), 9),
}
COMPONENTS = 2
ENGINE = {
    **dict.fromkeys(("runtime", "run_folder", "signals"), 0),
    **dict.fromkeys(("weight_average", "norm_filter", "reference", "step_report", "statistics", "gradient_share"), 0),
    **dict.fromkeys(("log", "window", "suspicion"), 1),
    **dict.fromkeys(("control", "checkpoint", "ending"), 2),
    **dict.fromkeys(("evaluation", "learner"), 3),
    **dict.fromkeys(("step", "snapshot"), 4),
    "training": 5,
    "trainer": 6,
}
"""The rooms and files of the engine; inside it, siblings do not know each other either."""
RUNTIME_ONLY = ("torch.distributed", "torch.compile", "channels_last", "autocast", ".cuda(")
# Files that only mention these words: an option key, and a message of `trainner doctor`.
ONLY_NAMES = {"use_channels_last", "torch.compile does not work here"}


@cache
def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE / "engine").parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Return the modules that are imported; `traiNNer.__init__` for the package's own names."""
    found: set[str] = set()
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
    """Return whether a name belongs to a file of the package."""
    return (PACKAGE / f"{name.split('.')[1]}.py").is_file()


def points_down(here: str, there: str) -> bool:
    """Return whether a part may import another: what lies below it, and beside it unless both are components."""
    return there == here or LAYER[there] < LAYER[here] or (LAYER[there] == LAYER[here] != COMPONENTS)


def test_imports_point_down():
    wrong = []
    for path in files():
        theirs = {name.split(".")[1] for name in imports(tree_of(path))} & LAYER.keys()
        wrong += [(name(path), there) for there in theirs if not points_down(part(path), there)]
    assert wrong == []


def test_import_up_or_of_a_sibling_is_found():
    assert points_down("cli", "engine")
    assert points_down("run", "export")
    assert not points_down("engine", "cli")
    assert not points_down("archs", "losses")


def engine_files() -> list[Path]:
    return [path for path in files() if part(path) == "engine" and room(path) != "__init__"]


def wrong_arrows(here: str, tree: ast.AST) -> list[str]:
    """Return the engine packages that a file in the package `here` must not import."""
    theirs = {name.split(".")[2] for name in imports(tree) if name.startswith("traiNNer.engine.")} - {here}
    return sorted(there for there in theirs if ENGINE[there] >= ENGINE[here])


def test_imports_inside_the_engine_point_down():
    wrong = {name(path): wrong_arrows(room(path), tree_of(path)) for path in engine_files()}
    assert {file: theirs for file, theirs in wrong.items() if theirs} == {}


@pytest.mark.parametrize("statement", ["import traiNNer.engine.step", "from traiNNer.engine.evaluation import best"])
def test_engine_import_up_or_sideways_is_found(statement):
    assert wrong_arrows("learner", ast.parse(statement))
    assert not wrong_arrows("trainer", ast.parse(statement))


@pytest.mark.parametrize("statement", ["import traiNNer", "from traiNNer import build_network"])
def test_package_itself_is_its_root(statement):
    assert imports(ast.parse(statement)) == {"traiNNer.__init__"}
    assert imports(ast.parse("from traiNNer import losses")) == {"traiNNer.losses"}


def test_every_part_has_a_layer():
    assert {part(path) for path in files()} - LAYER.keys() == set()


def test_every_package_has_a_one_sentence_docstring():
    packages = [path for path in files() if path.name == "__init__.py" and path.parent != PACKAGE]
    firsts = {name(path): (ast.get_docstring(tree_of(path)) or "").split("\n\n")[0] for path in packages}
    assert {file: text for file, text in firsts.items() if not text.endswith(".") or ". " in text} == {}


def test_there_is_no_import_cycle():
    graph: dict[str, set[str]] = {}
    for path in files():
        module = "traiNNer." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        graph[module] = imports(tree_of(path))
    graph = {module: {name for name in names if name in graph} for module, names in graph.items()}
    while ready := [module for module, names in graph.items() if not names & graph.keys() - {module}]:
        for module in ready:
            del graph[module]
    assert not graph, f"import cycle among {sorted(graph)}"


def test_only_the_runtime_names_devices_ranks_and_precision():
    found = []
    for path in files():
        text = path.read_text()
        for mentioned in ONLY_NAMES:
            text = text.replace(mentioned, "")
        if not path.is_relative_to(PACKAGE / "engine/runtime"):
            found += [(name(path), word) for word in RUNTIME_ONLY if word in text]
    assert found == []
