"""Networks in ONNX files, computed by onnxruntime where that is installed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement
from traiNNer.upscaling.onnx_file import ONNX, ONNXRUNTIME, check_onnx_file, require

PROVIDERS = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")
ERRORS_ONLY = 3
"""Of onnxruntime's levels: its warnings are about how a file could be faster, which its user cannot change."""
TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
LEAST_SIDE, LARGEST_LEAST = "traiNNer.least_side", 1024
"""Entry of a file's metadata with the smallest side of an image that it takes, and the largest that is believed."""


@dataclass(frozen=True)
class OnnxNetwork:
    """The network of an ONNX file as a function of B, 3, h, w float32 on the CPU, both sides at least `least_side`.

    One of clips takes B, frames, 3, h, w; `frames` is 1 for one of images.
    """

    call: Callable[[Tensor], Tensor]
    least_side: int = 1
    frames: int = 1

    def __call__(self, images: Tensor) -> Tensor:
        """Return B, 3, s*h, s*w float32 on the CPU."""
        return self.call(images)


def open_onnx(
    path: Path, packages: tuple[Requirement, ...] = (ONNX, ONNXRUNTIME), use_cpu: bool = False
) -> OnnxNetwork:
    """Return the network of an ONNX file.

    Args:
        path: the file.
        packages: what must be installed.
        use_cpu: compute on the CPU whatever devices there are.

    Raises:
        ConfigError: a package is not installed, or the file cannot be used.
    """
    require(path, *packages)
    check_onnx_file(path)
    import onnxruntime  # pyright: ignore[reportMissingImports] - an extra

    try:
        onnxruntime.set_default_logger_severity(ERRORS_ONLY)
        wanted = PROVIDERS[-1:] if use_cpu else PROVIDERS
        usable = [name for name in wanted if name in onnxruntime.get_available_providers()]
        session: Any = onnxruntime.InferenceSession(str(path), providers=usable)
    except Exception as error:  # a class for each way in which a file is wrong
        raise ConfigError(f"{path} is not a readable ONNX file ({str(error).splitlines()[0]})") from None
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) not in (4, 5) or inputs[0].type not in TYPES:
        raise ConfigError(f"{path} does not take one batch of images (N, 3, H, W) of float32 or float16")
    frames = 1 if len(shape) == 4 else shape[1]
    if not isinstance(frames, int):
        raise ConfigError(f"{path} takes clips of any length: export it with a fixed number of frames")
    if any(isinstance(side, int) for side in shape[-2:]):
        raise ConfigError(f"{path} takes images of {shape[-2:]} alone: export it with dynamic sizes")
    name, kind = inputs[0].name, TYPES[inputs[0].type]

    def run(image: Tensor) -> Tensor:
        try:
            return torch.from_numpy(session.run(None, {name: image[None].to(kind).numpy()})[0]).float()
        except Exception as error:
            kinds = MemoryError if "allocate" in str(error) else RuntimeError
            raise kinds(str(error)) from None

    # One at a time: the size of the batch may be fixed.
    return OnnxNetwork(lambda images: torch.cat([run(image) for image in images]), _least_side(session), frames)


def _least_side(session: Any) -> int:
    text = session.get_modelmeta().custom_metadata_map.get(LEAST_SIDE, "1")
    return int(text) if text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= LARGEST_LEAST else 1
