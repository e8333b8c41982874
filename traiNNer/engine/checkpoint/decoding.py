"""The files of a checkpoint from bytes whose checksum is right.

A checksum only says that a file is as recorded; a record can be forged, so nothing is run and every part is checked.
"""

import io
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from traiNNer.engine.checkpoint.record import check_state
from traiNNer.engine.checkpoint.state import FORMAT
from traiNNer.engine.checkpoint.weights_file import is_finite, unwrap
from traiNNer.errors import CheckpointError
from traiNNer.utils.bounded import Misfit
from traiNNer.utils.foreign_files import ForeignFile
from traiNNer.utils.torch_files import read_torch


class DamagedCheckpoint(Exception):
    """One checkpoint cannot be used; the text names the file and what is wrong with it."""


class OldCheckpoint(CheckpointError):
    """A training state of another format: whole, but not for this version."""


def decode_state(path: Path, data: bytes) -> dict[str, Any]:
    """Return the training state `<iteration>.state`.

    Raises:
        OldCheckpoint: it is of another format.
        DamagedCheckpoint: it is no training state, or that of another iteration.
    """
    try:
        state = read_torch(io.BytesIO(data), len(data))
    except ForeignFile as error:
        raise DamagedCheckpoint(f"{path} {error}") from None
    if not isinstance(state, dict):
        raise DamagedCheckpoint(f"{path}: holds a {type(state).__name__}, not a training state")
    found = state.get("format", 1)
    if type(found) is not int or found != FORMAT:
        found = found if isinstance(found, int) else "unknown"
        raise OldCheckpoint(
            f"{path} was written by another version of traiNNer (format {found}, this is {FORMAT}) and cannot be "
            "resumed. Finish the run with that version, or start a new one from its weights with "
            "path.pretrain_network_g."
        )
    try:
        check_state(state, int(path.stem))
    except Misfit as error:
        raise DamagedCheckpoint(f"{path}: {error}") from None
    return state


def decode_weights(name: str, data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a weights file. Raises `DamagedCheckpoint`."""
    try:
        if name.endswith(".safetensors"):
            found = load_safetensors(data)
        else:
            found = unwrap(read_torch(io.BytesIO(data), len(data)), None)[0]
    except SafetensorError as error:
        raise DamagedCheckpoint(f"{name}: holds something other than tensors ({error})") from None
    except ForeignFile as error:
        raise DamagedCheckpoint(f"{name} {error}") from None
    tensors: dict[str, Tensor] = {}
    for key, tensor in found.items():
        if not isinstance(tensor, Tensor):
            raise DamagedCheckpoint(f"{name}: {key} is no tensor")
        if not is_finite(tensor):
            raise DamagedCheckpoint(f"{name}: {key} has a value that is not finite")
        tensors[str(key)] = tensor
    return tensors
