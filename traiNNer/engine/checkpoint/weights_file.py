"""Files of weights, also those of other programs: unwrapped and named as networks name them, or refused in a line."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor

from traiNNer.errors import ConfigError
from traiNNer.utils.bounded import Misfit, parse
from traiNNer.utils.foreign_files import ForeignFile
from traiNNer.utils.pickles import OtherTensor
from traiNNer.utils.tensor_files import read_tensors

WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.")
STRIPPED = re.compile(rf"^(?:{'|'.join(map(re.escape, PREFIXES))})+")
WHOLE_PREFIXES = ("netG.", "net_g.", "generator.")
"""Stripped only where every name has it: a network may name a part of itself so."""
AVERAGED, COPIED = "ema_model.", "online_model."
COUNTERS = ("n_averaged", "initted", "step")
"""What classes that average weights keep beside them (torch's SWA, ema-pytorch)."""
DEEPEST = 4
LONGEST_NAME = 100
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class About(BaseModel):
    """What a weights file says of itself; more than this is kept as it is."""

    model_config = ConfigDict(extra="allow", strict=True)

    arch: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    scale: int = Field(default=1, ge=1, le=64)
    role: str = ""
    iteration: int = Field(default=0, ge=0)
    metric: str = ""
    score: float | None = None


_ABOUT = TypeAdapter(About)


@dataclass(frozen=True)
class WeightsFile:
    """Tensors of a file, and what the file says of itself (`arch`, `options`, `scale`, …; empty for foreign files)."""

    path: Path
    tensors: dict[str, Tensor]
    about: dict[str, Any]


def read_weights(path: str | Path, key: str | None = None) -> WeightsFile:
    """Read a file of weights without running anything in it; its content decides what it is, not its name.

    Wrappers and prefixes are stripped.

    Args:
        path: the file.
        key: entry of the file that holds the tensors; found by itself when None.

    Raises:
        ConfigError: missing, empty, damaged, not weights, containing code, or with a value that is not finite; the text
            names the file and the cure.
    """
    path = Path(path).expanduser()
    if path.suffix == ".state" and path.is_file():
        raise ConfigError(f"{path} {STATE}")
    try:
        content = read_tensors(path)
        named, about = unwrap(content.values, key)
        text = content.metadata.get("traiNNer", about)
        told, tensors = _about(text), plain_tensors(named)
        # This program writes the names that its networks have, and a network may name its only part `generator`.
        return WeightsFile(path, tensors if told.get("arch") else renamed(tensors), told)
    except ForeignFile as error:
        raise ConfigError(f"{path} {error}") from None


STATE = "is a training state, not a weights file. To go on from it use path.resume_state."


def _about(text: object) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return parse(_ABOUT, str(text)).model_dump(exclude_unset=True)
    except Misfit as error:
        raise ForeignFile(
            f"has metadata that traiNNer did not write ({error}). Save its tensors alone, without the entry 'traiNNer'."
        ) from None


def unwrap(loaded: Any, key: str | None) -> tuple[Mapping[Any, Any], object]:
    """Return the mapping that holds the tensors, and what the file says of itself as text (None: nothing).

    Raises:
        ForeignFile: there is none, or there are several and none is known by its name.
    """
    if not isinstance(loaded, Mapping):
        raise ForeignFile(f"holds {_kind_of(loaded)}, not named tensors")
    if {"optimizer", "learners"} & loaded.keys() and {"iteration", "progress"} & loaded.keys():
        raise ForeignFile(STATE)
    if key is not None and key not in loaded:
        raise ForeignFile(f"has no entry '{key}' (path.param_key_g); it has: {some(loaded)}")
    about = loaded.get("traiNNer")
    found = _Search().inside(loaded[key] if key is not None else loaded)
    if found is None:
        raise ForeignFile(f"holds no named tensors; its entries: {some(loaded)}")
    return found, about if isinstance(about, str) else None


class _Search:
    """Looks for the mapping of tensors in nested wrappers; what occurs in several places is searched once."""

    def __init__(self) -> None:
        self._known: dict[int, Mapping[Any, Any] | None] = {}

    def inside(self, value: Any, depth: int = 0) -> Mapping[Any, Any] | None:
        """Return the mapping of tensors in a value; None where there is none."""
        if not isinstance(value, Mapping) or depth > DEEPEST:
            return None
        if id(value) not in self._known:
            self._known[id(value)] = self._search(value, depth + 1)
        return self._known[id(value)]

    def _search(self, value: Mapping[Any, Any], depth: int) -> Mapping[Any, Any] | None:
        for name in WRAPPERS:
            found = self.inside(value.get(name), depth)
            if found is not None:
                return found
        if any(isinstance(item, (Tensor, OtherTensor)) for item in value.values()):
            return value
        inner = {name: found for name, item in value.items() if (found := self.inside(item, depth)) is not None}
        if len(inner) > 1:
            raise ForeignFile(f"holds several sets of tensors: name one with path.param_key_g: {some(inner)}")
        return next(iter(inner.values()), None)


def plain_tensors(named: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors of a mapping by name.

    Raises:
        ForeignFile: one of them is sparse, quantized, complex, or has a value that is not finite; its name is reported.
    """
    tensors = {str(name): tensor for name, tensor in named.items() if isinstance(tensor, (Tensor, OtherTensor))}
    if not tensors:
        raise ForeignFile("holds no tensors")
    for name, tensor in tensors.items():
        if problem := _problem(tensor):
            raise ForeignFile(f"cannot be used: {_shown(name)} {problem}")
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def _problem(tensor: Tensor | OtherTensor) -> str:
    """Return why a tensor is none that a network takes; empty for one that is."""
    if isinstance(tensor, OtherTensor):
        return f"is a {tensor.kind} tensor; a network takes dense tensors of floating-point numbers"
    if tensor.is_complex():
        return "holds complex numbers; a network takes real ones"
    if tensor.is_floating_point() and tensor.dtype not in FLOATS and tensor.dtype.itemsize != 1:
        return f"holds {str(tensor.dtype).removeprefix('torch.')} numbers, which a network does not take"
    if not is_finite(tensor):
        return "has a value that is not finite (NaN or infinite): these weights are of a run that diverged"
    return ""


def is_finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor is one."""
    is_small = tensor.is_floating_point() and tensor.dtype not in FLOATS  # float8, for which torch has no answer
    return bool(torch.isfinite(tensor.float() if is_small else tensor).all())


def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without the prefixes and counters of what wrapped the network; the averaged ones of two sets."""
    for _ in range(DEEPEST):
        before, tensors = tensors, _without_wrapper(tensors)
        if tensors.keys() == before.keys():
            break
    return tensors


def _without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    counters = [name for name in COUNTERS if name in tensors and tensors[name].numel() == 1]
    rest = {name: tensor for name, tensor in tensors.items() if name not in counters}
    averaged = {name.removeprefix(AVERAGED): tensor for name, tensor in rest.items() if name.startswith(AVERAGED)}
    if averaged and all(name.startswith((AVERAGED, COPIED)) for name in rest):
        return averaged
    if not rest or not all(name.startswith(PREFIXES) for name in rest):
        rest = tensors
    stripped = {STRIPPED.sub("", name): tensor for name, tensor in rest.items()}
    for prefix in WHOLE_PREFIXES:
        if all(name.startswith(prefix) for name in stripped):
            return {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
    return stripped


def _kind_of(value: Any) -> str:
    return "a tensor without a name" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def some(names: Collection[Any], limit: int = 6) -> str:
    """Return the first few of the names that a file holds, each as far as it can be shown."""
    if not names:
        return "none"
    shown = ", ".join(_shown(name) for name in list(names)[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _shown(name: object) -> str:
    text = str(name)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
