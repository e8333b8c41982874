"""Weights of a file into a network: matched by name and shape, and what fitted is said."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from traiNNer.archs.spandrel.detect import detect
from traiNNer.engine.checkpoint.weights_file import WeightsFile, read_weights, some
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS, UnknownComponent


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
            text += f"; new: {some(self.new)}"
        if self.unused:
            text += f"; not used: {some(self.unused)}"
        return text


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
        ConfigError: fewer than half of the network's tensors fit, or `strict` and not all of them do, or one holds
            integers (as quantized files do) where the network has floating-point numbers.
    """
    arch, scale = about["arch"], about["scale"]
    tensors, notes = adapted(arch, _without_common_part(network, file.tensors))
    _refuse_integers(network, tensors, file, arch)
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
    if "scale" not in file.about and not (_infer(file) or {"scale": scale}).get("scale"):
        notes.append(f"{file.path} does not record its scale, and its tensors fit at any: {scale} is assumed.")
    return notes, report


def _without_common_part(network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without the first part of their names, where all share it and only without it they are known."""
    own = network.state_dict().keys()
    parts = {name.partition(".")[0] for name in tensors}
    if len(parts) > 1 or own & tensors.keys():
        return tensors
    shorter = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    return shorter if own & shorter.keys() else tensors


def _refuse_integers(network: nn.Module, tensors: Mapping[str, Tensor], file: WeightsFile, arch: str) -> None:
    for name, own in network.state_dict().items():
        if own.is_floating_point() and name in tensors and not tensors[name].is_floating_point():
            kind = str(tensors[name].dtype).removeprefix("torch.")
            raise ConfigError(
                f"{file.path} does not fit {arch}: {name} holds {kind} numbers, the network has floating-point ones. "
                "Quantized weights cannot be trained or tested here: take the file that they were made from."
            )


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
        try:
            found = infer(file.tensors) if infer else None
        except (ValueError, LookupError, TypeError, ArithmeticError):  # names of that arch on tensors of other shapes
            continue
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
