"""What a network costs in use: parameters, multiply-adds, time and memory for an output of 1280 x 720."""

import copy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from traiNNer.export.source import Source
from traiNNer.measuring.networks import OUTPUT, multiply_adds_of
from traiNNer.upscaling.network import ReadyNetwork
from traiNNer.upscaling.onnx_file import stored_numbers
from traiNNer.utils.host_memory import growth
from traiNNer.utils.meta import parameter_count

RUNS = 3
LONG_S = 5.0
"""A first run that takes longer is not repeated."""


@dataclass(frozen=True)
class Cost:
    """What was measured; None where nothing tells it.

    Args:
        parameters: of the released form; of an ONNX file all numbers that it holds as weights.
        multiply_adds: for an output of 1280 x 720.
        milliseconds: for the same output, the median of some runs.
        peak_bytes: of memory while it computes: all that is reserved on a GPU, what the process grew by on the CPU.
        device: where.
    """

    parameters: int
    multiply_adds: float | None
    milliseconds: float
    peak_bytes: int | None
    device: str


def measure(network: ReadyNetwork, source: Source | Path) -> Cost:
    """Count and measure.

    Args:
        network: ready to upscale.
        source: what it was built of, or the ONNX file, whose multiply-adds nobody counts here.
    """
    height, width = (network.traits.fitting(-(-side // network.scale)) for side in OUTPUT)
    images = torch.full((1, 3, height, width), 0.5)
    runtime = network.runtime
    runtime.release_memory()
    runtime.memory()
    grown = growth(lambda: network.call(images))
    memory = runtime.memory()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < LONG_S:
        started = perf_counter()
        network.call(images)
        times.append(perf_counter() - started)
    return Cost(
        stored_numbers(source) if isinstance(source, Path) else parameter_count(source.released, trained=False),
        None if isinstance(source, Path) else _multiply_adds(source),
        1000 * median(times),
        memory.reserved if memory else grown,
        runtime.about.removeprefix("Device: "),
    )


def _multiply_adds(source: Source) -> float:
    try:  # the shapes of the whole output; a network that reads numbers from its features cannot run on shapes alone
        return multiply_adds_of(
            copy.deepcopy(source.released).to("meta"), source.traits, source.scale, only_shapes=True
        )
    except (RuntimeError, NotImplementedError):
        return multiply_adds_of(source.released, source.traits, source.scale)
