"""Weights files of small networks whose every part has an effect on the output."""

import json
import warnings
from pathlib import Path

import torch
from archkit import Member
from safetensors.torch import save
from torch import nn


def weights_file(folder: Path, member: Member) -> Path:
    """Write a network as a run does: after a step in training, with parameters that are all away from their start."""
    network = member.build()
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    with torch.no_grad():
        network.train()(member.images())
    component = member.component
    options = component.options.parse(member.options).model_dump(mode="json")
    about = {"arch": component.name, "scale": member.scale, "options": options}
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
    path = folder / f"{component.name}.safetensors"
    path.write_bytes(save(tensors, {"traiNNer": json.dumps(about)}))
    return path


def traced(network: nn.Module, path: Path) -> Path:
    """Write a network as ONNX with the exporter that traces, which is there in a moment."""
    axes = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.rand(1, 3, 16, 16),),
            str(path),
            dynamo=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": axes, "output": axes},
        )
    return path
