"""Weights from files: read safely, unwrap, match by name and shape, and say what fitted."""

import io
import json
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from traiNNer.archs.spandrel.detect import detect
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS, UnknownComponent
from traiNNer.utils.pretrained import UNREADABLE

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.")
MAX_UNPACKED_RATIO = 20


@dataclass(frozen=True)
class WeightsFile:
    """Tensors of a file, and what the file says of itself (`arch`, `options`, `scale`, …; empty for foreign files)."""

    path: Path
    tensors: dict[str, Tensor]
    about: dict[str, Any]


@dataclass(frozen=True)
class LoadReport:
    """How many tensors were loaded, which of the network stayed new, and which of the file found no place."""

    loaded: int
    total: int
    new: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        text = f"loaded {self.loaded}/{self.total} tensors"
        if self.new:
            text += f"; new: {_some(self.new)}"
        if self.unused:
            text += f"; not used: {_some(self.unused)}"
        return text


def _some(names: tuple[str, ...], limit: int = 6) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def read_weights(path: str | Path, key: str | None = None) -> WeightsFile:
    """Read a `.safetensors` or `.pth` file without running anything in it; wrappers and prefixes are stripped.

    Args:
        path: the file.
        key: entry of a `.pth` file that holds the tensors; found by itself when None.

    Raises:
        ConfigError: missing, empty, damaged, not weights, or containing code; the text names the file and the cure.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ConfigError(f"{path} is a folder, not a file" if path.is_dir() else f"{path}: no such weights file")
    if path.stat().st_size == 0:
        raise ConfigError(f"{path} is empty (0 bytes): not a weights file")
    if path.suffix == ".state":
        raise ConfigError(f"{path} is a training state, not a weights file. To go on from it use path.resume_state.")
    tensors, about = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pth(path, key)
    if not tensors:
        raise ConfigError(f"{path} holds no tensors")
    return WeightsFile(path, {_strip(name): tensor for name, tensor in tensors.items()}, about)


def _strip(name: str) -> str:
    while any(name.startswith(prefix) for prefix in PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("traiNNer", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 - not a mapping
    except (SafetensorError, ValueError, OSError) as error:
        raise ConfigError(f"{path} is not a readable safetensors file ({error})") from None


def _read_pth(path: Path, key: str | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        _refuse_bombs(path)
        loaded = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except UnpicklingError:
        code = _foreign_code(path)
        if code:
            raise ConfigError(f"{path} contains code ({code}), not only weights. Refused.") from None
        raise ConfigError(f"{path} is not a readable weights file (damaged, or not written by torch)") from None
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path} is not a readable weights file ({reason})") from None
    return _unwrap(path, loaded, key)


def _foreign_code(path: Path) -> str | None:
    """Return the first function or class named in a pickle that weights do not need; nothing is run to find it."""
    texts = [""]
    try:
        data = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                data = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".pkl"))
        stream = io.BytesIO(data)
        while stream.tell() < len(data):  # torch's old format is several pickles one after the other
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
                    module, name = str(argument).split(" ", 1) if opcode.name == "GLOBAL" else texts[-2:]
                    if module.split(".")[0] not in ("torch", "collections"):
                        return f"{module}.{name}"
                elif isinstance(argument, str):
                    texts.append(argument)
    except UNREADABLE:
        return None
    return None


def _unwrap(path: Path, loaded: Any, key: str | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"{path} holds a {type(loaded).__name__}, not named tensors")
    if {"optimizer", "learners"} & loaded.keys() and {"iteration", "progress"} & loaded.keys():
        raise ConfigError(f"{path} is a training state, not a weights file. To go on from it use path.resume_state.")
    about = loaded.get("traiNNer")
    if key is not None and key not in loaded:
        raise ConfigError(f"{path} has no entry '{key}' (path.param_key_g); it has: {_some(tuple(map(str, loaded)))}")
    chosen = key or next((name for name in WRAPPERS if isinstance(loaded.get(name), Mapping)), None)
    tensors = loaded[chosen] if chosen else loaded
    if not isinstance(tensors, Mapping) or not any(isinstance(value, Tensor) for value in tensors.values()):
        raise ConfigError(f"{path} holds no named tensors; its entries: {_some(tuple(map(str, loaded)))}")
    plain = {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)}
    return plain, json.loads(about) if isinstance(about, str) else {}


def _refuse_bombs(path: Path) -> None:
    """Refuse a .pth file, which is a zip, compressed more than torch ever does (it does not compress at all)."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:  # raises what UNREADABLE lists for a damaged one
        unpacked = sum(entry.file_size for entry in archive.infolist())
    packed = path.stat().st_size
    if unpacked > MAX_UNPACKED_RATIO * packed:
        raise ConfigError(f"{path} would need {unpacked / 1e9:.1f} GB from a {packed / 1e6:.1f} MB file. Refused.")


def load_into(network: nn.Module, tensors: Mapping[str, Tensor]) -> LoadReport:
    """Copy every tensor that fits by name and shape into the network, in place; the rest stays as it is."""
    own = network.state_dict()
    fitting = {name: tensor for name, tensor in tensors.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    new = tuple(name for name in own if name not in fitting)
    unused = tuple(name for name in tensors if name not in fitting)
    return LoadReport(len(fitting), len(own), new, unused)


def adapted(arch: str, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the tensors of an earlier published generation of an arch, where the arch declares how; with notes."""
    adapt = ARCHS[arch].traits.adapt_state
    return adapt(tensors) if adapt else (tensors, [])


def load_pretrained(
    network: nn.Module, about: Mapping[str, Any], file: WeightsFile, strict: bool
) -> tuple[list[str], LoadReport]:
    """Load a weights file into a network that is to be trained on or tested.

    Args:
        network: takes the tensors that fit, in place.
        about: its `arch`, `options` and `scale`.
        file: what was read.
        strict: refuse a file that does not fit completely.

    Returns:
        What the user should know, and what was loaded.

    Raises:
        ConfigError: fewer than half of the network's tensors fit, or `strict` and not all of them do.
    """
    arch, scale = about["arch"], about["scale"]
    tensors, notes = adapted(arch, file.tensors)
    report = load_into(network, tensors)
    origin, told = _origin(file, arch), differences(file, about)
    if report.loaded * 2 < report.total:
        raise ConfigError(
            f"{file.path} does not fit {arch}: {report}.{origin}{told} "
            "Check network_g.type and its options, or the file."
        )
    # Metadata also names options that only matter in training; what is read from bare tensors always matters.
    if strict and (report.new or report.unused or (told and not file.about)):
        raise ConfigError(f"{file.path} does not fit {arch} completely: {report}.{origin}{told}")
    if told:
        notes.append(f"{file.path}:{told}")
    trained_at = file.about.get("scale") or (_infer(file) or {}).get("scale")
    if trained_at not in (None, scale):
        text = f"{file.path} was trained at scale {trained_at}, this run is at scale {scale}"
        if strict:
            raise ConfigError(text)
        notes.append(text)
    return notes, report


def _origin(file: WeightsFile, arch: str) -> str:
    """Return what a file is of, where it is not of `arch`: what it says itself, else what its tensors look like."""
    found = file.about.get("arch")
    if found:
        return f" It holds weights of {found}." if found != arch else ""
    inferred = _infer(file)
    if inferred is None or inferred["type"] == arch:
        return ""
    shown = ", ".join(f"{key}: {value}" for key, value in inferred.items() if value is not None)
    return f" Its tensors look like network_g: {{{shown}}}."


def differences(file: WeightsFile, about: Mapping[str, Any]) -> str:
    """Return which options the file was trained with that no tensor's shape shows, where the network has others."""
    theirs = file.about.get("options") if file.about.get("arch") == about["arch"] else _infer(file)
    own = about["options"]
    keys = [key for key, value in (theirs or {}).items() if key in own and own[key] != value]
    told = ", ".join(f"{key} {(theirs or {})[key]}, here it is {own[key]}" for key in keys)
    return f" It was trained with {told}." if told else ""


def _infer(file: WeightsFile) -> dict[str, Any] | None:
    for component in ARCHS:
        infer = component.traits.infer_options
        found = infer(file.tensors) if infer else None
        if found:
            return dict(found)
    return detect(file.tensors)


def network_of(path: str | Path, key: str | None = None) -> dict[str, Any]:
    """Return `type`, options and `scale` (None where nothing says it) of the network that a weights file holds.

    The file's own metadata say it, else the archs that recognize their tensors, else spandrel.

    Raises:
        ConfigError: the file cannot be read, or does not say what it is.
    """
    file = read_weights(path, key)
    found = identify(file)
    if found is None:
        raise ConfigError(f"{file.path} does not say which arch it holds, and no known arch recognizes its tensors")
    return found


def identify(file: WeightsFile) -> dict[str, Any] | None:
    """Return what `network_of` does, of a file that was read; None where nothing tells its arch."""
    if "arch" in file.about:
        return {"type": file.about["arch"], **file.about.get("options", {}), "scale": file.about.get("scale")}
    return _infer(file)


def rebuild(file: WeightsFile, scale: int | None = None) -> nn.Module:
    """Build the network that a weights file belongs to, from its metadata or from its tensors, and load it.

    Args:
        file: what was read.
        scale: needed for a file without metadata whose tensors do not determine it.

    Returns:
        The network in evaluation mode.

    Raises:
        ConfigError: the file does not say what it is and no registered arch recognizes its tensors.
    """
    if "arch" in file.about:
        try:
            component = ARCHS[file.about["arch"]]
        except UnknownComponent as error:
            raise ConfigError(f"{file.path} holds weights of '{file.about['arch']}': {error}") from None
        try:
            options, told = file.about["options"], file.about["scale"]
            network = component.build(options, scale=told, seed=0)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{file.path} does not say completely what it is of ({error})") from None
        return _loaded(network, component.name, options, told, file)
    found = _infer(file)
    if found is None:
        raise ConfigError(f"{file.path} does not say which arch it holds, and no known arch recognizes its tensors")
    arch, inferred = found.pop("type"), found.pop("scale", None)
    wanted = scale or inferred
    if wanted is None:
        wanted = 2
        warnings.warn(f"{file.path} does not record its scale: 2 is assumed; load_network(path, scale=4)", stacklevel=3)
    return _loaded(ARCHS.build(arch, found, scale=wanted, seed=0), ARCHS[arch].name, found, wanted, file)


def _loaded(network: nn.Module, arch: str, options: Any, scale: int, file: WeightsFile) -> nn.Module:
    load_pretrained(network, {"arch": arch, "options": dict(options), "scale": scale}, file, strict=True)
    return network.eval()
