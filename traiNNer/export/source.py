"""The network of a weights file as it is exported: the form for release, for images of any size."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from traiNNer.engine.checkpoint.weights import identify, read_weights, rebuild
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS
from traiNNer.traits import ArchTraits
from traiNNer.upscaling.network import foreign_network
from traiNNer.utils.upscaling import upscale_image

MULTIPLES = (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2)
"""To which networks pad for themselves, largest first."""
TRIED = ((37, 51), (49, 41), (36, 50), (40, 60), (80, 72), (96, 66))
"""Heights and widths: multiples of nothing, and multiples of one number but not of the next larger ones."""
MODES = ("reflect", "constant")
CLOSE = 1e-6


class AnySize(nn.Module):
    """A network for sides that are multiples of a number, for images of any size: padded, and cut back.

    Args:
        network: B, 3, H, W to B, 3, scale*H, scale*W or more; one of clips takes B, frames, 3, H, W.
        multiple: what sides are padded to.
        scale: of the network.
        mode: of the padding, as `torch.nn.functional.pad` knows it.
    """

    def __init__(self, network: nn.Module, multiple: int, scale: int, mode: str = "reflect") -> None:
        super().__init__()
        self.mode = mode
        self.network = network
        self.multiple = multiple
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W, or a clip, to B, 3, scale*H, scale*W."""
        height, width = x.shape[-2:]
        # In this form an exporter sees that the padded sides are multiples, whatever the image. Nothing negative is
        # divided: Python rounds down, the integer division of ONNX towards zero.
        multiple = self.multiple
        bottom, right = ((side + multiple - 1) // multiple * multiple - side for side in (height, width))
        images = x.flatten(0, 1) if x.ndim > 4 else x  # of clips reflection takes the frames
        padded = F.pad(images, (0, right, 0, bottom), mode=self.mode)
        output = self.network(padded.unflatten(0, x.shape[:2]) if x.ndim > 4 else padded)
        return output[..., : height * self.scale, : width * self.scale]


@dataclass(frozen=True)
class Source:
    """A trained network in evaluation mode, float32, on the CPU.

    Args:
        path: the weights file.
        arch: its name here, or spandrel's.
        network: as it was trained: what the exported files are compared with.
        released: the form that is exported.
        scale: upscaling factor.
        traits: what the arch declares.
        tensors: of the file, by name.
        about: what the file says of itself.
        frames: of the clips that it takes, B, frames, 3, H, W; 1 for images.
    """

    path: Path
    arch: str
    network: nn.Module
    released: nn.Module
    scale: int
    traits: ArchTraits
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]
    frames: int = 1

    @property
    def is_known_elsewhere(self) -> bool:
        """Whether programs that use spandrel open the weights file by themselves."""
        return bool(self.traits.opens_as)

    @property
    def least_side(self) -> int:
        """Smallest side of an image, in pixels, that the exported network takes."""
        padded = self.released.multiple // 2 + 1 if isinstance(self.released, AnySize) else 1
        return max(self.traits.least_size, padded)

    def upscaled(self, images: Tensor) -> Tensor:
        """Return B, 3, H, W images, or the middle frames of clips, upscaled by the network as it was trained."""
        with torch.inference_mode():
            return upscale_image(self.network, images, self.scale, self.traits)


class _Reading(TorchDispatchMode):
    """Notes whether the value of a tensor was read."""

    def __init__(self) -> None:
        super().__init__()
        self.happened = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.happened = self.happened or func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def decides_by_values(network: nn.Module, images: Tensor) -> bool:
    """Whether a network reads numbers from its features, as a router does: a trace would keep what it chose once."""
    with torch.no_grad(), _Reading() as reading:
        network(images)
    return reading.happened


def open_source(path: Path, scale: int | None = None) -> Source:
    """Read a weights file and build its network.

    Args:
        path: `.safetensors` or `.pth`, of an arch of ours or one that spandrel knows.
        scale: for a file that does not record it.

    Raises:
        ConfigError: it cannot be read, nobody knows its arch, it is of another scale, or does not make RGB of RGB.
    """
    if path.suffix.lower() == ".onnx":
        raise ConfigError(f"{path} is an ONNX file already: export the weights file that it was made of")
    file = read_weights(path)
    found, frames = identify(file), 1
    if found is None:
        network, traits = foreign_network(file)
        arch, known = type(network).__name__, None
        traits = replace(traits, opens_as=arch)
    else:
        arch, known = found["type"], found.get("scale")
        if (wanted := scale or known) is None:
            raise ConfigError(f"{path} does not record its scale: add --scale, e.g. --scale 2")
        network, traits = rebuild(file, wanted), ARCHS[arch].traits
        if traits.discriminates:
            raise ConfigError(f"{path} holds weights of {arch}, which judges images and makes none")
        options = {key: found[key] for key in found if key not in ("type", "scale")}
        frames = traits.frames(ARCHS[arch].options.parse(options).model_dump()) if traits.frames_option else 1
    network = network.eval().requires_grad_(False)
    found_scale = _scale_of(path, network, traits, frames)
    if scale not in (None, found_scale):
        raise ConfigError(f"{path} is of scale {found_scale}, not {scale}: leave --scale out")
    form = released(network, traits, found_scale, frames)
    return Source(path, arch, network, form, found_scale, traits, file.tensors, file.about, frames)


def released(network: nn.Module, traits: ArchTraits, scale: int, frames: int = 1) -> nn.Module:
    """Return the form of a network that is exported: fused where its arch knows how, for images of any size."""
    form = (traits.release(network) if traits.release else network).eval().requires_grad_(False)
    found = _padding_of(form, traits, scale, frames)
    return AnySize(form, *found).eval() if found else form


def _padding_of(network: nn.Module, traits: ArchTraits, scale: int, frames: int) -> tuple[int, int, str] | None:
    """Return multiple, scale and mode of the padding that is done here or by the network itself; None without any.

    A network that pads for itself asks whether it has to, and an export keeps one answer. Padded from outside to the
    same multiple it never has to. That multiple is the largest one with which the output stays what it is.
    """
    sizes = [[max(side, traits.least_size) for side in size] for size in TRIED]
    images = [torch.rand(*shape_of(1, frames), *size) for size in sizes]
    with torch.inference_mode():
        wanted = [upscale_image(network, image, scale, traits) for image in images]
        for multiple in (multiple for multiple in MULTIPLES if multiple % traits.size_multiple == 0):
            for mode in MODES:
                padded = AnySize(network, multiple, scale, mode)
                pairs = zip(images, wanted, strict=True)
                if all(torch.allclose(padded(image), output, rtol=0, atol=CLOSE) for image, output in pairs):
                    return multiple, scale, mode
    return None if traits.size_multiple == 1 else (traits.size_multiple, scale, MODES[0])


def shape_of(batch: int, frames: int) -> tuple[int, ...]:
    """Return the first sizes of images, or of clips: what comes before height and width."""
    return (batch, 3) if frames == 1 else (batch, frames, 3)


def _scale_of(path: Path, network: nn.Module, traits: ArchTraits, frames: int) -> int:
    side = traits.fitting(16)
    try:
        with torch.inference_mode():
            shape = tuple(network(torch.rand(*shape_of(1, frames), side, side)).shape)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{path} does not take RGB images ({str(error).splitlines()[0]})") from None
    scale = shape[-1] // side
    if scale < 1 or shape != (1, 3, side * scale, side * scale):
        raise ConfigError(f"{path} does not upscale RGB images: {side} x {side} came out as {shape}")
    return scale
