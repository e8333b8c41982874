"""Compiled networks: whether this machine can compile at all, and what a compiler's failure means to the user."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from traiNNer.config.options import CommonOptions
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.errors import ConfigError


def choose_compiling(options: CommonOptions, device: torch.device, warnings: list[str]) -> bool:
    """Return whether networks are compiled; adds a warning where that was asked for and nothing here can do it.

    With `auto` they are not until a step was tried.
    """
    if options.use_compile is not True:
        return False
    missing = what_is_missing(device)
    if missing:
        warnings.append(f"use_compile is ignored: {missing}. Networks run as they are.")
    return not missing


def what_is_missing(device: torch.device) -> str | None:
    """Return what compiling for a device needs and this machine lacks."""
    if device.type == "cuda":
        return None if find_spec("triton") else "it needs the package triton, which is not installed"
    usual = {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
    name = os.environ.get("CXX") or usual
    if device.type == "cpu" and shutil.which(name) is None:
        return f"on the CPU it needs a C++ compiler, and there is no {name} (CXX names another)"
    return None


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Turn a failure of the compiler inside the block into a `ConfigError` that says how to go without it."""
    try:
        yield
    except RuntimeError as error:
        if not _is_of_compiler(error) or is_out_of_memory(error):
            raise
        raise ConfigError(
            f"use_compile: the network cannot be compiled ({reason_of(error)}). Set use_compile: false; "
            "a run that has saved continues with --auto_resume."
        ) from error


def reason_of(error: BaseException) -> str:
    """Return a failure of the compiler in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The first line names the part of the compiler, the second what went wrong in it.
    return " ".join(lines[:2])[:300] or type(error).__name__


def _is_of_compiler(error: BaseException) -> bool:
    dynamo = sys.modules.get("torch._dynamo.exc")  # loaded only where something was compiled
    return dynamo is not None and isinstance(error, dynamo.TorchDynamoException)
