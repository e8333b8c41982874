"""Files that `torch.save` wrote, in its present format (a zip archive) and that before version 1.6.

Storages are read only where a tensor needs them, and all together take no more memory than the file's size explains.
"""

import io
import math
import sys
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, Protocol

import torch
from torch import Tensor

from traiNNer.utils import pickles
from traiNNer.utils.foreign_files import CUT_OFF, HEAD, ForeignFile, is_pickle, is_zip, what_it_is
from traiNNer.utils.pickles import UNREADABLE, OtherTensor, Storage, TensorSpec

MAX_UNPACKED_RATIO = 20  # torch does not compress at all
SMALL_BYTES = 1 << 20  # up to which a file may unpack to anything
DEEPEST = 100
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read_torch(file: BinaryIO, size: int, suffix: str = ".pth") -> Any:
    """Read what `torch.save` wrote, in its present format or that before 1.6, or a plain pickle.

    Args:
        file: at its beginning.
        size: its length in bytes, by which memory is bounded.
        suffix: the ending of its name, for messages.

    Returns:
        Nested dictionaries, lists, tuples, tensors and plain values.

    Raises:
        ForeignFile: as `read_tensors`.
    """
    head = file.read(HEAD)
    file.seek(0)
    if not is_zip(head) and not is_pickle(head):
        raise ForeignFile(what_it_is(head, suffix))
    try:
        if is_zip(head):
            return _read_zip(file, size)
        return _read_legacy(file, size)
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ForeignFile(f"is not a readable weights file (damaged, or not written by torch: {reason})") from None


class _Storages(Protocol):
    def read(self, storage: Storage) -> Tensor:
        """Return the bytes of a storage, 1-D uint8."""
        ...


class _ZipStorages:
    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self.archive, self.folder = archive, folder

    def read(self, storage: Storage) -> Tensor:
        """Return the bytes of a storage, 1-D uint8."""
        entry = self.archive.getinfo(f"{self.folder}data/{storage.key}")
        if entry.file_size < storage.count * storage.dtype.itemsize:
            raise ValueError(f"storage {storage.key} is shorter than its tensors")
        with self.archive.open(entry) as file:
            return _fill(file, entry.file_size)


class _LegacyStorages:
    """Storages behind the pickles, each after its length, in the order of `keys`."""

    def __init__(self, file: BinaryIO, start: int, size: int, keys: list[str], kinds: Mapping[str, Storage]) -> None:
        self.file = file
        self.places: dict[str, tuple[int, int]] = {}
        for key in keys:
            file.seek(start)
            length = int.from_bytes(file.read(8), "little", signed=True) * kinds[key].dtype.itemsize
            if not 0 <= length <= size - start - 8 or length < kinds[key].count * kinds[key].dtype.itemsize:
                raise ForeignFile(CUT_OFF)
            self.places[key] = (start + 8, length)
            start += 8 + length

    def read(self, storage: Storage) -> Tensor:
        """Return the bytes of a storage, 1-D uint8."""
        start, length = self.places[storage.key]
        self.file.seek(start)
        return _fill(self.file, length)


def _fill(file: Any, length: int) -> Tensor:
    data = torch.empty(length, dtype=torch.uint8)
    view, done = data.numpy().data, 0
    while done < length:
        read = file.readinto(view[done:])
        if not read:
            raise EOFError("it ends early")
        done += read
    return data


def _read_zip(file: BinaryIO, size: int) -> Any:
    if not zipfile.is_zipfile(file):
        raise ForeignFile(CUT_OFF)
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        unpacked = sum(entry.file_size for entry in entries.values())
        if unpacked > max(MAX_UNPACKED_RATIO * size, SMALL_BYTES):
            raise ForeignFile(f"would need {unpacked / 1e9:.1f} GB from a {size / 1e6:.1f} MB file. Refused.")
        main = next((name for name in entries if name.rpartition("/")[2] == "data.pkl"), None)
        if main is None:
            raise ForeignFile(f"is a zip archive without weights of torch ({_some(list(entries))}): unpack it first")
        folder = main.removesuffix("data.pkl")
        if any(name.startswith((f"{folder}code/", f"{folder}constants.pkl")) for name in entries):
            raise ForeignFile(
                "is a TorchScript file: a program, not only weights. Refused. Save its tensors alone: "
                "torch.save(torch.jit.load(file).state_dict(), 'weights.pth')"
            )
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder").decode() != sys.byteorder:
            raise ForeignFile("was written on a machine with another order of bytes: convert it there to safetensors")
        if entries[main].file_size > pickles.MOST_BYTES:
            raise ForeignFile(f"has {entries[main].file_size / 1e6:.0f} MB of values that are no tensors. Refused.")
        plain = pickles.unpickle(io.BytesIO(archive.read(main)))
        return _Builder(_ZipStorages(archive, folder), unpacked).build(plain)


def _read_legacy(file: BinaryIO, size: int) -> Any:
    data = io.BytesIO(file.read(pickles.MOST_BYTES))
    value = pickles.unpickle(data)
    if value != LEGACY_MAGIC:
        return _Builder(_LegacyStorages(file, 0, size, [], {}), size).build(value)
    for _ in range(2):  # the version of the format, and the sizes of integers
        pickles.unpickle(data)
    plain = pickles.unpickle(data)
    keys = [str(key) for key in pickles.unpickle(data)]
    kinds = _storages_in(plain)
    missing = [key for key in keys if key not in kinds]
    if missing:
        raise ValueError("a storage that no tensor names")
    return _Builder(_LegacyStorages(file, data.tell(), size, keys, kinds), size).build(plain)


def _storages_in(plain: Any) -> dict[str, Storage]:
    """Return every storage that a pickle names, by key."""
    found: dict[str, Storage] = {}
    seen: set[int] = set()
    waiting = [plain]
    while waiting:
        value = waiting.pop()
        if isinstance(value, TensorSpec):
            found[value.storage.key] = value.storage
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return found


class _Builder:
    """Puts tensors into the place of their descriptions; all of them together take no more than the file explains."""

    def __init__(self, storages: _Storages, size: int) -> None:
        self._storages = storages
        self._bytes: dict[str, Tensor] = {}
        self._done: dict[int, Any] = {}
        self._left = max(MAX_UNPACKED_RATIO * size, SMALL_BYTES)

    def build(self, value: Any, depth: int = 0) -> Any:
        """Return the value with tensors. What occurs in several places is built once."""
        if depth > DEEPEST:
            raise ForeignFile(f"is nested deeper than {DEEPEST} levels. Refused.")
        if isinstance(value, TensorSpec):
            return self._tensor(value)
        if isinstance(value, OtherTensor) or not isinstance(value, (dict, list, tuple)):
            return value
        if id(value) not in self._done:
            if isinstance(value, dict):
                self._done[id(value)] = {key: self.build(item, depth + 1) for key, item in value.items()}
            else:
                items = [self.build(item, depth + 1) for item in value]
                self._done[id(value)] = items if isinstance(value, list) else tuple(items)
        return self._done[id(value)]

    def _tensor(self, spec: TensorSpec) -> Tensor:
        shape, stride = spec.shape, spec.stride
        whole = all(type(number) is int and number >= 0 for number in (spec.offset, *shape, *stride))
        if not whole or len(shape) != len(stride):
            raise ValueError("a tensor of an impossible shape")
        count = math.prod(shape)
        self._left -= count * spec.dtype.itemsize
        if self._left < 0:
            raise ForeignFile("would need far more memory than its size explains. Refused.")
        if spec.storage.key not in self._bytes:
            self._bytes[spec.storage.key] = self._storages.read(spec.storage)
        data, item = self._bytes[spec.storage.key], spec.dtype.itemsize
        flat = data[: data.numel() // item * item].view(spec.dtype)
        last = sum((side - 1) * step for side, step in zip(shape, stride, strict=True)) if count else -1
        if spec.offset + last >= flat.numel() and count:
            raise ValueError("a tensor that is longer than its storage")
        return flat.as_strided(shape, stride, spec.offset if count else 0)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
