"""A network as an ONNX file for images of any size: by torch's exporter, else by the one that traces."""

import contextlib
import copy
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from traiNNer.errors import NotExported
from traiNNer.export.agreement import Agreement, compare, pattern
from traiNNer.export.source import AnySize, Source, decides_by_values
from traiNNer.traits import Requirement
from traiNNer.upscaling.onnx import open_onnx

INSTALL = "pip install onnx onnxscript onnxruntime"
PACKAGES = tuple(Requirement(name, INSTALL) for name in ("onnx", "onnxscript", "onnxruntime"))
INPUT, OUTPUT = "input", "output"
EXAMPLE = (48, 56)
"""Height and width of the image that is traced."""
CHOOSES = "the network chooses by the values of an image what it computes, and a trace would keep one choice"
OPSET = 17
"""Of the exporter that traces; runtimes of several years read it."""


@dataclass(frozen=True)
class OnnxFile:
    """A file that was written and computes what the network does; `notes` say what is not as it should be."""

    path: Path
    agreement: Agreement
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Way:
    """How a network may be exported; with `cuts` the output is cut to size, which some do for odd sides alone."""

    title: str
    write: Callable[[nn.Module, Tensor, Path], None]
    batch: int
    cuts: bool = False
    traces: bool = False


def write_onnx(source: Source, path: Path, half: bool = False) -> OnnxFile:
    """Export a network, and compare the file with it.

    Args:
        source: the network.
        path: of the file.
        half: with weights, input and output in float16.

    Raises:
        NotExported: no exporter can do it, or what it wrote computes something else.
    """
    network = _halved(source.released) if half else source.released
    failures: list[str] = []
    for way in WAYS:
        height, width = (max(side, source.least_side) for side in EXAMPLE)
        example = torch.cat([pattern(height, width, frames=source.frames)] * way.batch)
        if way.traces and decides_by_values(source.released, example):
            failures.append(f"{way.title}: {CHOOSES}")
            continue
        try:
            with _quiet():
                form = AnySize(network, 1, source.scale).eval() if way.cuts else network
                way.write(form, example.half() if half else example, path)
            agreement = compare(source, open_onnx(path, use_cpu=True), path.name, half)
        except NotExported as error:
            failures.append(f"{way.title}: {error}")
        except Exception as error:  # exporters and runtimes raise whatever comes up at what they do not know
            failures.append(f"{way.title}: {_reason(error)}")
        else:
            notes = [f"{path.name}: {failure}" for failure in failures]
            if failures:
                notes.append(f"{path.name}: written by {way.title}, which computes the same.")
            return OnnxFile(path, agreement, tuple(notes))
        path.unlink(missing_ok=True)
    listed = "\n".join(f"  {failure}" for failure in failures)
    raise NotExported(f"{source.arch} cannot be exported to ONNX:\n{listed}")


def _by_export(network: nn.Module, example: Tensor, path: Path) -> None:
    dynamic = dict.fromkeys((example.ndim - 2, example.ndim - 1), torch.export.Dim.DYNAMIC)
    if len(example) > 1:
        dynamic[0] = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        network,
        (example,),
        str(path),
        dynamo=True,
        external_data=False,
        dynamic_shapes=(dynamic,),
        input_names=[INPUT],
        output_names=[OUTPUT],
        verbose=False,
    )


def _by_tracing(network: nn.Module, example: Tensor, path: Path) -> None:
    sizes = {example.ndim - 2: "height", example.ndim - 1: "width"}
    torch.onnx.export(
        network,
        (example,),
        str(path),
        dynamo=False,
        dynamic_axes={INPUT: sizes, OUTPUT: {2: "height", 3: "width"}},
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
    )


WAYS = (
    _Way("torch's exporter", _by_export, 2),
    _Way("torch's exporter, one image at a time", _by_export, 1),
    _Way("torch's exporter, with the output cut to size", _by_export, 1, cuts=True),
    _Way("the tracing exporter, one image at a time", _by_tracing, 1, traces=True),
)


def _halved(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).half()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what exporters say while they try: their users read it as errors, and the comparison tells what counts."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as held:
            warnings.simplefilter("ignore")
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number in (1, 2):  # the streams below Python's: what is not written in Python writes there
                held.callback(_restore, number, os.dup(number))
            silence = os.open(os.devnull, os.O_WRONLY)
            held.callback(os.close, silence)
            for number in (1, 2):
                os.dup2(silence, number)
            held.enter_context(contextlib.redirect_stdout(io.StringIO()))
            held.enter_context(contextlib.redirect_stderr(io.StringIO()))
            yield
    finally:
        logging.disable(level)


def _restore(number: int, saved: int) -> None:
    os.dup2(saved, number)
    os.close(saved)


def _reason(error: Exception) -> str:
    """Return what went wrong in a line: the cause, which exporters wrap in pages of advice."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or ["no reason given"]
    said = " ".join(lines[:2] if lines[0].endswith(":") else lines[:1])  # a title alone says nothing
    return f"{type(cause).__name__}: {said}"[:300]


def describe(path: Path, about: dict[str, str]) -> None:
    """Put texts into the metadata of an ONNX file."""
    import onnx  # pyright: ignore[reportMissingImports] - an extra

    model: Any = onnx.load(str(path))
    onnx.helper.set_model_props(model, about)
    onnx.save(model, str(path))
