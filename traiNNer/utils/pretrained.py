"""Weights of third-party networks that losses and metrics look through: found, fetched once, read safely."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import torch
from torch import Tensor

from traiNNer.errors import ConfigError
from traiNNer.utils.foreign_files import ForeignFile
from traiNNer.utils.tensor_files import read_tensors

CONNECT_TIMEOUT_S = 10.0


def cached_weights(url: str, needed_by: str) -> Path:
    """Return the file of `url` in torch's own download cache, fetching it first if it is missing.

    Raises:
        ConfigError: it is missing and cannot be fetched; names the file, its place, and the option `weights`.
    """
    name = PurePosixPath(urlsplit(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # torchvision ends each file name with the start of the content's SHA-256.
        with _no_endless_waiting():
            torch.hub.download_url_to_file(url, str(path), Path(name).stem.rpartition("-")[2], progress=False)
    except (OSError, HTTPException, RuntimeError) as error:
        raise ConfigError(
            f"{needed_by} needs {name}, which is not in {path.parent} and could not be downloaded ({error}).\n"
            f"Download {url} on another machine and put it there, or name your copy with the option `weights: path`."
        ) from error
    return path


@contextmanager
def _no_endless_waiting() -> Iterator[None]:
    # The download has no timeout, and a silent firewall would hold the run forever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_weights(path: Path, needed_by: str) -> dict[str, Tensor]:
    """Read a flat state dict, safetensors or torch's own format, without running any code in it.

    Raises:
        ConfigError: the file is missing, unreadable, holds something else, or a value that is not finite.
    """
    try:
        state = read_tensors(path).values
    except ForeignFile as error:
        raise ConfigError(
            f"{needed_by}: {path} {str(error).rstrip('.')}. Check the option `weights: path`; "
            "if the file was downloaded by this program, delete it and start again."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"{needed_by}: {path} is not a plain state dict of tensors")
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ConfigError(f"{needed_by}: {path}: {name} has a value that is not finite (NaN or infinite)")
    return state
