"""A network as a TorchScript file, for programs that load it without Python code of ours."""

import io
import warnings
from pathlib import Path
from typing import Any

import torch

from traiNNer.errors import NotExported
from traiNNer.export.agreement import Agreement, compare, pattern
from traiNNer.export.onnx_graph import CHOOSES
from traiNNer.export.source import Source, decides_by_values


def write_torchscript(source: Source, path: Path) -> Agreement:
    """Trace a network, write it, and compare the file with it.

    Raises:
        NotExported: it cannot be traced, or the trace holds for one size alone.
    """
    example = pattern(*(max(48, source.least_side) for _ in range(2)), frames=source.frames)
    if decides_by_values(source.released, example):
        raise NotExported(f"{source.arch} cannot be written as TorchScript: {CHOOSES}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a trace takes as constant, which the comparison finds
        try:
            traced = torch.jit.trace(source.released, (example,), check_trace=False)
            buffer = io.BytesIO()
            torch.jit.save(torch.jit.freeze(traced), buffer)
        except Exception as error:  # whatever a network does that a trace does not know
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise NotExported(f"{source.arch} cannot be written as TorchScript ({reason}).") from None
        path.write_bytes(buffer.getvalue())
        loaded: Any = torch.jit.load(io.BytesIO(buffer.getvalue()))
        return compare(source, loaded, path.name)
