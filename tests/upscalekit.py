"""A tiny network in a weights file, and what it makes of images when it is called directly: the oracle."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from traiNNer.engine.checkpoint.weights import read_weights, rebuild
from traiNNer.registry import ARCHS

OPTIONS = {"num_feat": 4, "num_conv": 1}


def tiny_network(seed: int = 0) -> nn.Module:
    """Return a small network of scale 2 that sees 3 pixels around each of its input."""
    torch.manual_seed(seed)
    return ARCHS.build("compact", OPTIONS, scale=2, seed=seed).eval()


def write_weights(folder: Path, network: nn.Module | None = None) -> Path:
    """Write a weights file as a run does, and return its path."""
    import json

    from safetensors.torch import save

    about = {"arch": "compact", "scale": 2, "options": ARCHS["compact"].options.parse(OPTIONS).model_dump(mode="json")}
    path = folder / "tiny.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in (network or tiny_network()).state_dict().items()}
    path.write_bytes(save(tensors, {"traiNNer": json.dumps(about)}))
    return path


def direct(path: Path, image: np.ndarray) -> np.ndarray:
    """Return what the network of a file makes of H, W, 3 integers: called once, clamped and rounded."""
    peak = np.iinfo(image.dtype).max
    with torch.inference_mode():
        output = rebuild(read_weights(path))(torch.from_numpy(image.astype(np.float32) / peak).permute(2, 0, 1)[None])
    return (output[0].clamp(0, 1) * peak).round().permute(1, 2, 0).numpy().astype(image.dtype)
