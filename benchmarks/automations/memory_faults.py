"""Evidence for the exact retry: steps that run out of memory do not change the result, on one rank and on two.

    python -m benchmarks.automations.memory_faults [--quick]

A small ParagonSR2 in float64 trains on random crops, through the project's own step, host and automation, while 5 % of
the iterations run out of memory in the forward or in the backward; with two gloo ranks only on one of them. The weights
and running statistics are compared with those of the same run without faults. A run that takes longer than a minute
counts as hung.
"""

import math
import os
import random
import socket
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from benchmarks.automations.rows import Row, table
from traiNNer import build_network
from traiNNer.automations.batch_size import DynamicBatchSizeOptimizer
from traiNNer.batch import Batch, BatchPlan
from traiNNer.engine.control.events import RunStarted
from traiNNer.engine.control.host import AutomationHost
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.learner import Learner
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import Stepper
from traiNNer.models.protocol import MAIN
from traiNNer.models.restoration import RestorationModel

SHARE, BATCH, CROP, TOLERANCE, LIMIT_S = 0.05, 8, 12, 1e-12, 300


class DoubleRuntime(Runtime):
    """The runtime in float64."""

    def to_float(self, images: Tensor) -> Tensor:
        """Convert B, H, W, 3 uint8 images to B, 3, H, W float64 in [0, 1]."""
        return images.permute(0, 3, 1, 2).double().div(255)


class _Break(torch.autograd.Function):
    @staticmethod
    def forward(_, x):
        return x.clone()

    @staticmethod
    def backward(*_):
        raise torch.OutOfMemoryError("out of memory (injected)")


class Faulty(nn.Module):
    """A network whose next call may run out of memory."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.fault = ""

    def forward(self, lq: Tensor) -> Tensor:
        """Return the output, or run out of memory."""
        fault, self.fault = self.fault, ""
        if fault == "forward":
            raise torch.OutOfMemoryError("out of memory (injected)")
        output = self.network(lq)
        return _Break.apply(output) if fault == "backward" else output


def images(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lq = torch.randint(0, 256, (BATCH, CROP, CROP, 3), dtype=torch.uint8, generator=generator)
    gt = lq.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return Batch(lq, gt, tuple(str(i) for i in range(BATCH)))


def fault_at(iteration: int, seed: int) -> str:
    draw = random.Random(seed * 100_003 + iteration)
    return draw.choice(("forward", "backward")) if draw.random() < SHARE else ""


def train(seed: int, iterations: int, faults: bool) -> tuple[list[Tensor], int]:
    """Return the weights after a run and how many faults there were on this rank."""
    runtime = DoubleRuntime(torch.device("cpu"), "")
    network = Faulty(build_network("paragonsr2", scale=2, num_feat=16, num_groups=1, num_blocks=2)).double()
    torch.manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    knobs = Knobs(batch_size=BATCH)
    automation = DynamicBatchSizeOptimizer()
    host = AutomationHost(
        {"DynamicBatchSizeOptimizer": automation},
        RunStarted(iterations, BATCH),
        knobs,
        runtime,
        Logbook(True),
        actions={},
        plan=BatchPlan(BATCH),
        learning_rate=lambda _: 1e-3,
    )
    model = RestorationModel({MAIN: network}, {}, lambda output, target, **_: {"l1": (output - target).abs().mean()})
    learner = Learner(MAIN, network, torch.optim.AdamW(network.parameters(), 1e-3), lambda _: 1.0, knobs)
    stepper = Stepper(model, {MAIN: learner}, runtime, knobs, on_out_of_memory=host.out_of_memory)
    host.start(0)
    count = 0
    for iteration in range(1, iterations + 1):
        # Each fault hits one rank only, alternating.
        hit = fault_at(iteration, seed) if faults and iteration % runtime.world == runtime.rank else ""
        network.fault, count = hit, count + bool(hit)
        report = stepper.step([images(seed * 1000 + iteration * runtime.world + runtime.rank)])
        host.after_step(iteration, report)
    return [value.detach().clone() for value in network.state_dict().values()], count


def distance(first: list[Tensor], second: list[Tensor]) -> float:
    return max((a.double() - b.double()).abs().max().item() for a, b in zip(first, second, strict=True))


def _rank(rank: int, port: int, seed: int, iterations: int, place: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    dist.init_process_group("gloo")
    clean, _ = train(seed, iterations, faults=False)
    faulty, count = train(seed, iterations, faults=True)
    torch.save({"distance": distance(clean, faulty), "faults": count}, Path(place) / f"{rank}.pt")
    dist.destroy_process_group()


def two_ranks(seed: int, iterations: int, start: str = "spawn") -> tuple[float, int]:
    """Return the largest difference and the number of faults; infinity when the ranks hung or failed.

    `start` is how multiprocessing starts them.
    """
    with socket.socket() as server, tempfile.TemporaryDirectory() as place:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.close()
        context = mp.get_context(start)
        new = context.Process  # pyright: ignore[reportAttributeAccessIssue] - every real context has it
        processes = [new(target=_rank, args=(r, port, seed, iterations, place)) for r in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(LIMIT_S)
        if any(process.is_alive() or process.exitcode for process in processes):
            for process in processes:
                process.kill()
            return math.inf, 0
        found = [torch.load(Path(place) / f"{rank}.pt") for rank in range(2)]
    return max(one["distance"] for one in found), sum(one["faults"] for one in found)


def run(quick: bool) -> list[Row]:
    """Return one row for one rank and one for two."""
    rows = []
    for title, seeds in (
        ("one rank", range(3 if quick else 10)),
        ("two gloo ranks, faults on one", range(1 if quick else 3)),
    ):
        iterations = 60 if quick else 200
        results = []
        for seed in seeds:
            if "two" in title:
                results.append(two_ranks(seed, iterations))
            else:
                clean, _ = train(seed, iterations, faults=False)
                faulty, count = train(seed, iterations, faults=True)
                results.append((distance(clean, faulty), count))
        worst, faults = max(d for d, _ in results), sum(count for _, count in results)
        good = sum(d <= TOLERANCE and count > 0 for d, count in results)
        note = f"{faults} faults in {len(results) * iterations:,} iterations, largest difference {worst:.1e}"
        rows.append(Row("batch size", f"out of memory in 5 %, {title}", "exact retry", len(results), good, 1.0, note))
    return rows


if __name__ == "__main__":
    found = run("--quick" in sys.argv)
    sys.stdout.write(table(found) + "\n")
    sys.exit(not all(row.is_met for row in found))
