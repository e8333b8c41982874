"""A network's weights as safetensors, in float32 or in half the size."""

import json
import math
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save
from torch import Tensor

from traiNNer.export.agreement import pattern
from traiNNer.export.source import Source, open_source

Precision = Literal["fp32", "fp16", "bf16"]
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def write_weights(source: Source, path: Path, precision: Precision) -> None:
    """Write all weights in a precision, with what the file said of itself."""
    kind = TYPES[precision]
    tensors = {name: _converted(tensor, kind) for name, tensor in source.tensors.items()}
    metadata = {"format": "pt"}
    if source.about:
        metadata["traiNNer"] = json.dumps(dict(source.about))
    path.write_bytes(save(tensors, metadata))


def _converted(tensor: Tensor, kind: torch.dtype) -> Tensor:
    # A copy of its own: the format forbids tensors that share memory.
    wanted = kind if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(wanted, copy=True).contiguous()


def rounding_db(source: Source, path: Path) -> float:
    """Return how far the written weights, read back, are from the network, as PSNR of an output in [0, 1]."""
    images = pattern(*(max(64, source.least_side) for _ in range(2)), frames=source.frames)
    difference = open_source(path, source.scale).upscaled(images) - source.upscaled(images)
    error = float(difference.double().square().mean())
    return math.inf if error == 0 else -10 * math.log10(error)
