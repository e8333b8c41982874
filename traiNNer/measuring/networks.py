"""What a network costs: parameters and multiply-adds, which take no device, and the time of a training step."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from traiNNer.engine.runtime.device import find_device
from traiNNer.registry import Component
from traiNNer.traits import ArchTraits
from traiNNer.utils.meta import parameter_count, shapes_only

OUTPUT = (720, 1280)
"""Height and width of the output that multiply-adds are counted for, as papers do."""
SMALL = 64
BATCH, SIDE, STEPS = 4, 64, 3
"""What is timed: images per step, their side in LQ pixels, and steps, the fastest of which counts."""


@dataclass(frozen=True)
class NetworkCost:
    """What `measure_network` found.

    Args:
        scale: the scale that the numbers are for.
        parameters: that are trained.
        multiply_adds: for an output of 1280 x 720, in evaluation.
        step_s: seconds of a training step; None when it was not asked for.
    """

    scale: int
    parameters: int
    multiply_adds: float
    step_s: float | None = None


def usual_scale(traits: ArchTraits, wanted: int = 2) -> int:
    """Return `wanted` if the arch has it, else the nearest scale that it has."""
    return min(traits.scales or (wanted,), key=lambda scale: (abs(scale - wanted), scale))


def measure_network(component: Component[ArchTraits], scale: int, timed: bool = False) -> NetworkCost:
    """Count, and time a training step if that is asked for. Options are those that the arch has by default."""
    with quiet():
        with shapes_only():
            network = component.build({}, scale=scale, seed=0)
        counted = multiply_adds(component, scale, network)
        step = step_time(component, scale) if timed else None
    return NetworkCost(scale, parameter_count(network), counted, step)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what libraries say while a network is built: it concerns nobody who only counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def multiply_adds(component: Component[ArchTraits], scale: int, network: nn.Module) -> float:
    """Return the multiply-adds of an output of 1280 x 720 in evaluation.

    Convolutions, matrix products and attention count. A network that reads numbers from its features, such as a router,
    cannot run on shapes alone; it is computed for a small image and scaled by the area.

    Args:
        component: the arch.
        scale: of the network.
        network: the network on the meta device.
    """
    frames = component.traits.frames(component.options().model_dump()) if component.traits.frames_option else 1
    try:
        return multiply_adds_of(network, component.traits, scale, frames, only_shapes=True)
    except (RuntimeError, NotImplementedError):
        return multiply_adds_of(component.build({}, scale=scale, seed=0), component.traits, scale, frames)


def multiply_adds_of(
    network: nn.Module, traits: ArchTraits, scale: int, frames: int = 1, only_shapes: bool = False
) -> float:
    """Return the multiply-adds of a network for an output of 1280 x 720.

    Args:
        network: what is counted.
        traits: what its arch declares.
        scale: of the network.
        frames: that it sees at once.
        only_shapes: it is on the meta device, and counted at that size; else for a small image, scaled by the area.
    """
    sides = (-(-side // scale) if only_shapes else SMALL for side in OUTPUT)
    height, width = map(traits.fitting, sides)
    with torch.no_grad():
        if only_shapes:
            with shapes_only():
                counted = _count(network, torch.empty(*_before_sides(1, frames), height, width))
        else:
            counted = _count(network, torch.rand(*_before_sides(1, frames), height, width))
    return counted * (OUTPUT[0] * OUTPUT[1] / scale**2) / (height * width)


def _count(network: nn.Module, x: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        network.eval()(x)
    return counter.get_total_flops() / 2


def _before_sides(images: int, frames: int) -> tuple[int, ...]:
    """Return what a network takes before height and width: B, 3, or B, frames, 3."""
    return (images, 3) if frames == 1 else (images, frames, 3)


def step_time(component: Component[ArchTraits], scale: int) -> float:
    """Return the seconds of a training step of AdamW on this machine, for 4 images of 64 x 64 LQ pixels in float32."""
    device = find_device().handle
    side = component.traits.fitting(SIDE)
    network = component.build({}, scale=scale, seed=0).to(device).train()
    frames = component.traits.frames(component.options().model_dump()) if component.traits.frames_option else 1
    x = torch.rand(*_before_sides(BATCH, frames), side, side, device=device)
    target = torch.rand(BATCH, 3, side * scale, side * scale, device=device)
    optimizer = torch.optim.AdamW([part for part in network.parameters() if part.requires_grad], lr=1e-4)
    return min(_steps(network, optimizer, x, target))


def _steps(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, target: Tensor) -> Iterator[float]:
    for _ in range(STEPS):
        started = time.perf_counter()
        optimizer.zero_grad()
        loss = F.l1_loss(network(x), target)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device
        yield time.perf_counter() - started
