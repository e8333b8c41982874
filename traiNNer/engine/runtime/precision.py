"""The precision and the memory layout of a run: what is asked for, where every network of it declares it."""

import torch
from torch import Tensor

from traiNNer.config.options import CommonOptions, TrainOptions
from traiNNer.models.protocol import Upscaler
from traiNNer.registry import ARCHS, Component
from traiNNer.traits import ArchTraits, Precision


def choose_precision(options: CommonOptions, device: torch.device, warnings: list[str]) -> torch.dtype | None:
    """Return the half precision that the forward runs in, None for float32; adds a warning where that was not asked."""
    if not options.use_amp:
        return None
    archs = _archs(options)
    wanted: Precision = "bf16" if options.amp_bf16 else "fp16"
    unable = [arch.name for arch in archs if wanted not in arch.traits.precisions]
    bf16_works = all("bf16" in arch.traits.precisions for arch in archs)
    advice = " (amp_bf16: true works)" if bf16_works else ""
    if unable:
        warnings.append(f"{unable[0]} does not work in {wanted}: use_amp is ignored, computing in float32{advice}")
        return None
    if wanted == "bf16":
        return torch.bfloat16
    if device.type == "cpu":
        warnings.append(f"use_amp with fp16 is not available on the CPU: training in float32{advice}")
        return None
    return torch.float16


def choose_layout(options: CommonOptions, warnings: list[str]) -> torch.memory_format:
    """Return the memory format of networks and images; adds a warning where it is not the one that was asked for."""
    if not options.use_channels_last:
        return torch.contiguous_format
    unable = [arch.name for arch in _archs(options) if "nhwc" not in arch.traits.layouts]
    if unable:
        warnings.append(f"{unable[0]} does not work in channels_last: use_channels_last is ignored")
        return torch.contiguous_format
    return torch.channels_last


def _archs(options: CommonOptions) -> list[Component[ArchTraits]]:
    """Return the archs of all networks of the run; they share one precision and one layout."""
    choices = [options.network_g]
    if isinstance(options, TrainOptions) and options.network_d:
        choices.append(options.network_d)
    return [ARCHS[choice.type] for choice in choices]


def in_half_precision(network: Upscaler, device: torch.device, half: torch.dtype) -> Upscaler:
    """Return a network as a function of float32 that runs in half precision; autocast is only inside."""

    def upscale(lq: Tensor) -> Tensor:
        with torch.autocast(device.type, half):
            output = network(lq)
        return output.float()

    return upscale
