"""A network that is ready to upscale, from a weights file, an ONNX file or a module: its scale and sizes are known."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from traiNNer.engine.checkpoint.weights import WeightsFile, identify, read_weights, rebuild
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS
from traiNNer.traits import ArchTraits
from traiNNer.upscaling.onnx import open_onnx

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""Size multiples that are tried where nothing says which sizes a network takes."""
PROBE_SIDE = 64
FAILURES = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)
"""How networks answer images of a size or number of channels that they do not take."""


@dataclass(frozen=True)
class ReadyNetwork:
    """A network as a function from B, 3, h, w float32 on the CPU to B, 3, s*h, s*w on the CPU, with what it takes.

    One of clips takes B, frames, 3, h, w and makes the middle frame; `frames` is 1 for one of images.
    """

    name: str
    call: Callable[[Tensor], Tensor]
    scale: int
    traits: ArchTraits
    runtime: Runtime
    frames: int = 1

    def blank(self, height: int, width: int) -> Tensor:
        """Return a gray input of a size."""
        return _blank(self.frames, height, width)


def _blank(frames: int, height: int, width: int) -> Tensor:
    return torch.full((1, 3, height, width) if frames == 1 else (1, frames, 3, height, width), 0.5)


def open_network(path: str | Path, runtime: Runtime, scale: int | None = None) -> ReadyNetwork:
    """Open a weights file or an ONNX file.

    Args:
        path: `.safetensors` or `.pth` of an arch of ours or one that spandrel knows, or `.onnx`.
        runtime: where it computes; ONNX files compute where onnxruntime does.
        scale: for a file that does not record it.

    Raises:
        ConfigError: it cannot be read, nobody knows its arch, it is of another scale, or does not upscale RGB images.
    """
    network = _opened(Path(path).expanduser(), runtime, scale)
    if scale not in (None, network.scale):
        raise ConfigError(f"{path} is of scale {network.scale}, not {scale}: leave --scale out")
    return network


def _opened(path: Path, runtime: Runtime, scale: int | None) -> ReadyNetwork:
    if path.suffix.lower() == ".onnx":
        opened = open_onnx(path, use_cpu=runtime.device.type == "cpu")
        traits = ArchTraits(least_size=opened.least_side) if opened.least_side > 1 else None
        return _probed(path.name, opened, runtime, traits, opened.frames)
    file = read_weights(path)
    found, frames = identify(file), 1
    if found is None:
        network, traits = foreign_network(file)
    else:
        wanted = scale or found.get("scale")
        if wanted is None:
            raise ConfigError(f"{path} does not record its scale: add --scale, e.g. --scale 2")
        network, component = rebuild(file, wanted), ARCHS[found["type"]]
        traits, options = component.traits, {key: found[key] for key in found if key not in ("type", "scale")}
        frames = traits.frames(component.options.parse(options).model_dump()) if traits.frames_option else 1
    return _probed(path.name, _on(runtime, runtime.place(network).eval()), runtime, traits, frames)


def ready(network: nn.Module, runtime: Runtime) -> ReadyNetwork:
    """Return a module for upscaling. It is in evaluation mode and on the runtime's device already.

    Raises:
        ConfigError: it does not upscale RGB images.
    """
    return _probed(type(network).__name__, _on(runtime, network), runtime)


def _on(runtime: Runtime, network: nn.Module) -> Callable[[Tensor], Tensor]:
    upscale = runtime.upscaler(network)

    def call(images: Tensor) -> Tensor:
        with runtime.inference_with_saved_rng():
            return upscale(images.to(runtime.device)).float().cpu()

    return call


def foreign_network(file: WeightsFile) -> tuple[nn.Module, ArchTraits]:
    """Return the network of a file that only spandrel knows, and the sizes that it takes.

    Raises:
        ConfigError: nobody recognizes its tensors.
    """
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor

    try:
        found = MAIN_REGISTRY.load(dict(file.tensors))
    except Exception:  # its readers raise whatever comes up at tensors that only look like those of an arch
        found = None
    if not isinstance(found, ImageModelDescriptor):
        raise ConfigError(f"{file.path} does not say which arch it holds, and no known arch recognizes its tensors")
    sizes = found.size_requirements
    return found.model, ArchTraits(size_multiple=max(1, sizes.multiple_of), least_size=max(1, sizes.minimum))


def _probed(
    name: str,
    call: Callable[[Tensor], Tensor],
    runtime: Runtime,
    traits: ArchTraits | None = None,
    frames: int = 1,
) -> ReadyNetwork:
    """Find the scale by upscaling something small, and the size multiple where it is not known."""
    choices = [traits] if traits else [ArchTraits(size_multiple=multiple) for multiple in MULTIPLES]
    reason = ""
    for choice in choices:
        side = choice.fitting(PROBE_SIDE + choice.size_multiple)
        try:
            output = call(_blank(frames, side, side + choice.size_multiple))
        except FAILURES as error:
            reason = reason or (str(error).splitlines() or [type(error).__name__])[0]
            continue
        scale = output.shape[-1] // (side + choice.size_multiple)
        if tuple(output.shape) == (1, 3, side * scale, (side + choice.size_multiple) * scale) and scale:
            return ReadyNetwork(name, call, scale, choice, runtime, frames)
        reason = reason or f"images of {side} x {side + choice.size_multiple} came out as {tuple(output.shape)}"
    raise ConfigError(f"{name} does not upscale RGB images of any size: {reason}")
