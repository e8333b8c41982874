"""The one reader of files of tensors: safetensors and both formats of torch, recognized by content.

Nothing in a file is run, and no more memory is taken than its size explains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from traiNNer.utils.bounded import from_json
from traiNNer.utils.foreign_files import CUT_OFF, HEAD, ForeignFile, is_safetensors, refuse_special
from traiNNer.utils.pickles import UNREADABLE
from traiNNer.utils.torch_files import read_torch


@dataclass(frozen=True)
class Content:
    """What a file holds: nested dictionaries and lists of tensors and plain values, and the metadata of safetensors.

    A tensor that is sparse, quantized or the like is an `OtherTensor`.
    """

    values: Any
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_tensors(path: Path) -> Content:
    """Read a file of tensors, whatever its name.

    Raises:
        ForeignFile: it is missing, damaged, something else, or contains more than data; the text follows its name.
    """
    try:
        refuse_special(path)
        with path.open("rb") as file:
            head = file.read(HEAD)
            if is_safetensors(head):
                return _read_safetensors(path, head)
            file.seek(0)
            return Content(read_torch(file, path.stat().st_size, path.suffix))
    except OSError as error:
        raise ForeignFile(f"cannot be read ({(error.strerror or str(error)).lower()})") from None


def _read_safetensors(path: Path, head: bytes) -> Content:
    _refuse_cut_safetensors(path, int.from_bytes(head[:8], "little"))
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            return Content({name: file.get_tensor(name) for name in file.keys()}, metadata)  # noqa: SIM118 - no mapping
    except (SafetensorError, *UNREADABLE) as error:
        raise ForeignFile(f"is not a readable safetensors file ({error})") from None


def _refuse_cut_safetensors(path: Path, length: int) -> None:
    """Raise `ForeignFile` where the header says that the file is longer than it is."""
    size = path.stat().st_size
    if 8 + length > size:
        raise ForeignFile(CUT_OFF)
    with path.open("rb") as file:
        file.seek(8)
        try:
            header = from_json(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            needed = 8 + length + max((end for end in ends if isinstance(end, int)), default=0)
        except (ValueError, TypeError, LookupError, AttributeError):
            return  # the reader of safetensors says what is wrong
    if needed > size:
        raise ForeignFile(f"{CUT_OFF} ({size:,} of {needed:,} bytes are there)")
