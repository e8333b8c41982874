"""What an ONNX file may hold: it comes from anybody, so nothing outside its folder is read, no foreign code run."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement

INSTALL = "pip install onnx onnxruntime"
ONNX = Requirement("onnx", INSTALL)
ONNXRUNTIME = Requirement("onnxruntime", INSTALL)
MOST_BYTES = 2**31 - 1
"""Of a file without the data beside it: the format has no more."""
DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Operator sets that onnxruntime computes by itself: the standard, and its own for quantized networks."""


def require(path: Path, *packages: Requirement) -> None:
    """Raise `ConfigError` with the command that installs the first package that is missing."""
    for package in packages:
        if not package.is_met:
            raise ConfigError(f"{path} {package.reason}")


def check_onnx_file(path: Path) -> None:
    """Look into an ONNX file without computing anything.

    Raises:
        ConfigError: it is missing, too large or damaged, keeps data outside its folder, or needs operators that only
            a library of somebody else has.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such ONNX file")
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{path} is larger than {MOST_BYTES:,} bytes, so it is not an ONNX file")
    import onnx  # pyright: ignore[reportMissingImports] - an extra

    try:
        model: Any = onnx.load_model(str(path), load_external_data=False)
    except Exception as error:  # protobuf's classes differ from one of its implementations to the other
        raise ConfigError(f"{path} is not a readable ONNX file ({_first_line(error)})") from None
    for tensor in _tensors(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                _require_inside(path, entry.value)
    own = {function.domain for function in model.functions}
    foreign = sorted({node.domain for node in _nodes(model)} - own - set(DOMAINS))
    if foreign:
        raise ConfigError(
            f"{path} needs operators of '{foreign[0]}', which a library of somebody else would have to run"
        )


def stored_numbers(path: Path) -> int:
    """Return how many numbers an ONNX file that was checked holds as weights."""
    import onnx  # pyright: ignore[reportMissingImports] - an extra

    model: Any = onnx.load_model(str(path), load_external_data=False)
    return sum(math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.dims)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _require_inside(path: Path, location: str) -> None:
    folder = path.parent.resolve()
    place = (folder / location).resolve()
    if not place.is_relative_to(folder):
        raise ConfigError(f"{path} keeps data in {location}, outside its folder: that is never read")
    if not place.is_file():
        raise ConfigError(f"{path} keeps data in {location}, which is missing beside it")


def _graphs(model: Any) -> Iterator[Any]:
    """Yield everything that has nodes: the graph, the bodies of its loops and branches, its functions."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            waiting += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            yield from (*attribute.tensors, attribute.t)
            for sparse in (*attribute.sparse_tensors, attribute.sparse_tensor):
                yield from (sparse.values, sparse.indices)
