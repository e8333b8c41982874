"""What `use_checkpointing` saves in memory and costs in time, network by network.

    OMP_NUM_THREADS=1 python benchmarks/checkpointing.py [--quick] [--rounds N] [--json FILE]
    python benchmarks/checkpointing.py --network hat_l --scale 4 --side 64

Memory is counted, not sampled: the bytes that autograd keeps between forward and backward. Times are processor
seconds of forward and backward together, alternating. With --network it is the memory of that network alone, beside
what a run keeps of its weights.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor, nn

from traiNNer.archs.recompute import recompute_blocks
from traiNNer.registry import ARCHS
from traiNNer.utils.host_memory import keep_freed_memory

NETWORKS = ("paragonsr2_nano", "span", "swinir_s")
QUICK = ("paragonsr2_nano",)
SCALE, BATCH, SIDE = 2, 1, 32
COPIES = 5
"""Float32 values that a run keeps for every weight."""


def step(network: nn.Module, images: Tensor) -> float:
    """Return the processor time of one forward and backward."""
    started = time.process_time()
    network(images).square().mean().backward()
    seconds = time.process_time() - started
    network.zero_grad(set_to_none=True)
    return 1e3 * seconds


def kept_bytes(network: nn.Module, images: Tensor) -> int:
    """Return what lies in memory for the backward pass after a forward, parameters not counted."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    storages: dict[int, Any] = {}  # kept alive, so that no address is used twice

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = network(images)
    del output
    return sum(storage.nbytes() for place, storage in storages.items() if place not in weights)


def memory(name: str, scale: int, side: int) -> Iterator[tuple[str, float]]:
    """Yield what one network needs for a crop, in MB."""
    network = ARCHS.build(name, scale=scale).train().to(memory_format=torch.channels_last)
    images = torch.rand(1, 3, side, side).contiguous(memory_format=torch.channels_last)
    yield "weights, gradients, both moments, average", COPIES * 4e-6 * sum(p.numel() for p in network.parameters())
    recompute_blocks(network)
    yield "kept with use_checkpointing", kept_bytes(network, images) / 1e6
    network = ARCHS.build(name, scale=scale).train().to(memory_format=torch.channels_last)
    yield "kept without", kept_bytes(network, images) / 1e6


def rows(quick: bool = False, rounds: int = 5) -> list[tuple[str, float, float, float]]:
    """Measure; returns (name, with, without, ratio): kept MB, then milliseconds, of every network."""
    torch.set_num_threads(1)
    keep_freed_memory()
    found = []
    for name in QUICK if quick else NETWORKS:
        networks = []
        for _ in range(2):
            torch.manual_seed(0)
            networks.append(ARCHS.build(name, scale=SCALE).train().to(memory_format=torch.channels_last))
        recompute_blocks(networks[1])
        images = torch.rand(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
        plain, less = (kept_bytes(network, images) / 1e6 for network in networks)
        found.append((f"{name}: MB", less, plain, plain / less))
        times = [[step(network, images) for network in networks] for _ in range(rounds + 1)][1:]
        first, second = (statistics.median(side) for side in zip(*times, strict=True))
        found.append((f"{name}: ms", second, first, statistics.median(a / b for a, b in times)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one small network")
    parser.add_argument("--rounds", type=int, default=None, help="steps of each side")
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    parser.add_argument("--network", help="the memory of this network instead")
    parser.add_argument("--scale", type=int, default=SCALE, help="scale of --network")
    parser.add_argument("--side", type=int, default=SIDE, help="LQ pixels of the crop of --network")
    options = parser.parse_args()
    if options.network:
        for what, megabytes in memory(options.network, options.scale, options.side):
            print(f"{what:42}{megabytes:10.1f} MB", flush=True)
        return
    found = rows(options.quick, options.rounds or (1 if options.quick else 5))
    print(f"{'':24}{'with':>10}{'without':>10}{'ratio':>8}")
    for name, less, plain, ratio in found:
        print(f"{name:24}{less:10.1f}{plain:10.1f}{ratio:8.2f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
