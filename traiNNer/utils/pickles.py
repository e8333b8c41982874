"""Pickles that torch wrote, read as plain data.

Nothing that a pickle names is imported or called: what tensors need has a stand-in here that only notes what was asked
for, and every other name is refused. Nothing is allocated that the file does not hold.
"""

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

import torch

from traiNNer.utils.foreign_files import ForeignFile

MOST_BYTES = 64 << 20  # of a pickle without its tensors; those of large networks have about 1 MB
MOST_STEPS = 5_000_000  # a step makes an object of up to some 200 bytes
EXTENSIONS = ("EXT1", "EXT2", "EXT4")
# A pickle that is damaged or of another kind fails inside the unpickler in any of these ways.
UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, OverflowError,
    NotImplementedError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile, AssertionError, MemoryError,
)  # fmt: skip


class StorageKind(NamedTuple):
    """The type of a storage, as a pickle names it."""

    dtype: torch.dtype


class Storage(NamedTuple):
    """Numbers elsewhere in the file: `count` of a type under a key."""

    key: str
    dtype: torch.dtype
    count: int


class TensorSpec(NamedTuple):
    """A tensor that is not read yet: a view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class OtherTensor(NamedTuple):
    """A tensor that is no dense array of numbers; `kind` says what it is."""

    kind: str


class Inert:
    """A harmless value of another program, whose content is passed over."""

    __slots__ = ()

    def __new__(cls, *_: object) -> "Inert":
        """Make one of any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Mapping(dict):
    """A dictionary with attributes, which are not kept."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


def unpickle(data: io.BytesIO) -> Any:
    """Read one pickle; `data` stands behind it afterwards.

    Returns:
        Dictionaries, lists, tuples and plain values, with `TensorSpec` and `OtherTensor` in place of tensors.

    Raises:
        ForeignFile: it names what weights do not need, or would need more memory than its size explains.
        UNREADABLE: it is damaged, or no pickle.
    """
    start = data.tell()
    _refuse_bombs(data)
    end = data.tell()
    data.seek(start)
    value = _Reader(io.BytesIO(data.read(end - start)), encoding="latin1").load()
    data.seek(end)
    return value


def _refuse_bombs(data: io.BytesIO) -> None:
    """Walk over one pickle without making anything. Raises `ForeignFile`, or `ValueError` where it is damaged."""
    for steps, (opcode, argument, _) in enumerate(pickletools.genops(data), 1):
        if steps > MOST_STEPS:
            raise ForeignFile(f"has more than {MOST_STEPS:,} values that are no tensors. Refused.")
        if opcode.name in EXTENSIONS:
            raise ForeignFile("contains code (a registered extension), not only weights. Refused.")
        # The memo is an array as long as the highest place: a few bytes could ask for gigabytes.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= steps:
            raise ValueError("a place in the memo that cannot be")


class _Reader(pickle.Unpickler):
    """Makes plain data of one pickle, at most `MOST_STEPS` copied values and as many bytes of text."""

    def __init__(self, data: io.BytesIO, *, encoding: str) -> None:
        super().__init__(data, encoding=encoding)
        self._left = MOST_STEPS
        # These copy what they are given, which a pickle could ask for again and again.
        self._copying: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": self._mapping,
            "collections.Counter": self._mapping,
            "collections.defaultdict": lambda *_: _Mapping(),
            "builtins.set": self._list,
            "builtins.frozenset": self._list,
            "builtins.bytearray": self._bytes,
            "_codecs.encode": self._bytes,
            "torch.Size": lambda *sizes: tuple(self._list(*sizes)),
        }

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the stand-in of a global. Raises `ForeignFile` for one that weights do not need."""
        module = "builtins" if module_name == "__builtin__" else module_name
        name = f"{module}.{global_name}"
        if name in self._copying:
            return self._copying[name]
        if name in STAND_INS:
            return STAND_INS[name]
        if module in ("torch", "torch.cuda", "torch.storage") and global_name in STORAGES:
            return StorageKind(STORAGES[global_name])
        dtype = getattr(torch, global_name, None) if module == "torch" else None
        if isinstance(dtype, torch.dtype):
            return dtype
        if isinstance(dtype, torch.qscheme):  # how a quantized tensor is to be read, which it is not
            return None
        raise ForeignFile(f"contains code ({module_name}.{global_name}), not only weights. Refused.")

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage that a pickle names."""
        match pid:
            case ("storage", StorageKind(dtype), key, _, int() as count) if count >= 0:
                return Storage(str(key), dtype, count)
            case ("storage", StorageKind(dtype), key, _, int() as count, None) if count >= 0:
                return Storage(str(key), dtype, count)
        raise ValueError("a storage of an unknown form")

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ForeignFile("would need far more memory than its size explains. Refused.")

    def _mapping(self, items: Iterable[Any] = (), *_: Any) -> _Mapping:
        self._spend(len(list(items)))
        return _Mapping(items)

    def _list(self, items: Iterable[Any] = (), *_: Any) -> list[Any]:
        """Return a copy, also in place of a set, whose elements may have no hash here."""
        copied = list(items)
        self._spend(len(copied))
        return copied

    def _bytes(self, text: Any = b"", *_: Any) -> bytes:
        if isinstance(text, int):
            raise ForeignFile(f"would take {text / 1e9:.1f} GB that it does not hold. Refused.")
        self._spend(len(text))
        return text.encode("latin1") if isinstance(text, str) else bytes(text)


def _tensor(storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> TensorSpec:
    return TensorSpec(storage, offset, tuple(shape), tuple(stride), storage.dtype)


def _tensor_v3(storage: Storage, offset: int, shape: Any, stride: Any, *more: Any) -> TensorSpec:
    _, _, dtype, *_ = more  # behind whether it has a gradient, and hooks
    if not isinstance(dtype, torch.dtype):
        raise TypeError("a tensor without a type")
    return TensorSpec(storage, offset, tuple(shape), tuple(stride), dtype)


def _first(value: Any, *_: Any) -> Any:
    """Return what a parameter is made of."""
    return value


def _of_type(build: Callable[..., Any], _kind: Any, arguments: tuple[Any, ...], *_: Any) -> Any:
    """Return the tensor of a derived type as a plain one."""
    if build not in BUILDERS or not isinstance(arguments, tuple):
        raise ValueError("a tensor of an unknown form")
    return build(*arguments)


def _other(kind: str) -> Callable[..., OtherTensor]:
    return lambda *_: OtherTensor(kind)


def _refused(*_: Any) -> NoReturn:
    raise ValueError("a tensor made in a way that is not known")


HARMLESS = (
    "argparse.Namespace", "builtins.dict", "builtins.float", "builtins.int", "builtins.list", "builtins.str",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype",
    "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib.PureWindowsPath",
)  # fmt: skip
BUILDERS: dict[Callable[..., Any], str] = {
    _tensor: "_rebuild_tensor_v2",
    _tensor_v3: "_rebuild_tensor_v3",
    _first: "_rebuild_parameter",
}
STAND_INS: dict[str, Any] = (
    {f"torch._utils.{name}": builder for builder, name in BUILDERS.items()}
    | {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_parameter_with_state": _first,
        "torch._tensor._rebuild_from_type_v2": _of_type,
        "torch._utils._rebuild_sparse_tensor": _other("sparse"),
        "torch._utils._rebuild_sparse_csr_tensor": _other("sparse"),
        "torch._utils._rebuild_qtensor": _other("quantized"),
        "torch._utils._rebuild_nested_tensor": _other("nested"),
        "torch._utils._rebuild_meta_tensor_no_storage": _other("meta"),
        "torch.nn.parameter.Parameter": _first,
        "torch.Tensor": _refused,
        "torch.device": lambda *names: ":".join(map(str, names)),
        "torch.serialization._get_layout": _first,
        "builtins.complex": complex,
    }
    | dict.fromkeys(HARMLESS, Inert)
)
STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "QInt8Storage": torch.int8,
    "QUInt8Storage": torch.uint8,
    "QInt32Storage": torch.int32,
    "UntypedStorage": torch.uint8,
}
