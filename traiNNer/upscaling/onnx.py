"""Networks in ONNX files, computed by onnxruntime where that is installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement

ONNXRUNTIME = Requirement("onnxruntime", "pip install onnxruntime")
PROVIDERS = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")
TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}


def open_onnx(path: Path, requirement: Requirement = ONNXRUNTIME) -> Callable[[Tensor], Tensor]:
    """Return the network of an ONNX file as a function from B, 3, h, w float32 to B, 3, s*h, s*w, both on the CPU.

    Raises:
        ConfigError: onnxruntime is not installed, or the file cannot be used.
    """
    if not requirement.is_met:
        raise ConfigError(f"{path} {requirement.reason}")
    if not path.is_file():
        raise ConfigError(f"{path}: no such ONNX file")
    import onnxruntime  # pyright: ignore[reportMissingImports] - an extra

    try:
        usable = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
        session: Any = onnxruntime.InferenceSession(str(path), providers=usable)
    except Exception as error:  # a class for each way in which a file is wrong
        raise ConfigError(f"{path} is not a readable ONNX file ({str(error).splitlines()[0]})") from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in TYPES:
        raise ConfigError(f"{path} does not take one batch of images (N, 3, H, W) of float32 or float16")
    if any(isinstance(side, int) for side in inputs[0].shape[2:]):
        raise ConfigError(f"{path} takes images of {inputs[0].shape[2:]} alone: export it with dynamic sizes")
    name, kind = inputs[0].name, TYPES[inputs[0].type]

    def run(image: Tensor) -> Tensor:
        try:
            return torch.from_numpy(session.run(None, {name: image[None].to(kind).numpy()})[0]).float()
        except Exception as error:
            kinds = MemoryError if "allocate" in str(error) else RuntimeError
            raise kinds(str(error)) from None

    # One at a time: the size of the batch may be fixed.
    return lambda images: torch.cat([run(image) for image in images])
