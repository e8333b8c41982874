"""Speed of a training step on the CPU against a plain implementation of the same math, and against its convolutions.

    OMP_NUM_THREADS=1 python benchmarks/train_step.py [--quick] [--networks NAME ...] [--rounds N] [--steps N]

Batch 8, LQ 64x64, 2x, float32, L1 loss, AdamW, EMA, CPU. Both sides start from the same weights, see the same batches
and run in separate processes (the memory allocator's state belongs to a process), alternating every few steps, so that
other load on the machine affects both. With one thread the time of the processor counts, else that of the clock.

Ours has what train.py uses: runtime, channels_last, fused AdamW, `WeightAverage`, the quick forms of the networks. The
reference is as plain as the loop of traiNNer-redux: networks as they are described (`plain_networks.py`), contiguous,
AdamW and the average parameter by parameter, the default allocator; `--same-allocator` gives it our setting, which
shows what the setting alone contributes. "convolutions" are all convolutions of one of our steps, forward and backward
with their shapes and layouts, each called alone in the same round; what a step takes beyond them is overhead.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import traiNNer  # noqa: F401 - before torch: it sets how threads wait

# isort: split

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.plain_networks import PLAIN
from traiNNer import build_network
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.weight_average import WeightAverage, decay_at
from traiNNer.utils.host_memory import keep_freed_memory
from traiNNer.utils.processor import cpu_name

BATCH, SIDE, SCALE, DECAY = 8, 64, 2, 0.999
# At 1e-3 this start is chaotic after 45 steps: 1e-7 on one weight of the same network then moves the loss by 1e-2.
RATE = 2e-4
PARTS = ("data", "forward", "backward", "update")
TARGETS = {"paragonsr2_nano": 4.0, "compact": 1.5, "span": 1.5}
CONVOLUTIONS_TARGET = 1.6
ALLOWED = 1e-4
STEPS = {"paragonsr2_nano": 5, "compact": 2, "span": 1}
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")


def batches(side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 pairs like the loader: smooth random images and their area-averaged halves of `side` pixels."""
    random = torch.Generator().manual_seed(0)
    while True:
        coarse = torch.rand(BATCH, 3, side // 4, side // 4, generator=random)
        gt = F.interpolate(coarse, size=side * SCALE, mode="bicubic").clamp(0, 1)
        lq = F.avg_pool2d(gt, SCALE)
        yield tuple((t * 255).round().byte().permute(0, 2, 3, 1).contiguous() for t in (lq, gt))


Function = Callable[[Tensor], Tensor]
Side = tuple[Function, nn.Module, torch.optim.Optimizer, Function, Callable[[int], None]]


def our_side(name: str) -> Side:
    keep_freed_memory()
    runtime = Runtime(torch.device("cpu"), "benchmark", memory_format=torch.channels_last)
    network = runtime.place(build_network(name, scale=SCALE))
    average = WeightAverage(network, DECAY)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE, fused=True)
    return runtime.upscaler(network), network, optimizer, runtime.to_float, average.update


def plain_side(name: str) -> Side:
    network = PLAIN[name](build_network(name, scale=SCALE))
    average = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE)

    def update(iteration: int) -> None:
        decay = decay_at(iteration, DECAY)
        with torch.no_grad():
            for key, tensor in network.state_dict().items():
                if tensor.is_floating_point():
                    average[key].mul_(decay).add_(tensor, alpha=1 - decay)
                else:
                    average[key].copy_(tensor)

    def to_float(images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).contiguous().float() / 255

    return network, network, optimizer, to_float, update


def now() -> float:
    """Return seconds: of the processor, which other processes do not lengthen much, as long as one thread computes."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def _operations(name: str, arguments: Any, result: Any) -> int:
    """Return the multiplications and additions of a convolution, or of those gradients of it that are asked for."""
    forward = name == CONVOLUTIONS[0]
    outputs, weight = (result, arguments[1]) if forward else (arguments[0], arguments[2])
    return 2 * outputs.numel() * weight[0].numel() * (1 if forward else sum(arguments[-1][:2]))


class Convolutions(TorchDispatchMode):
    """Notes the convolutions of a block; then they can be called alone, on other numbers of the same shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []
        self.flops = 0
        self._made: dict[tuple[Any, ...], Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.name() in CONVOLUTIONS:
            self.calls.append((func, tuple(map(self._like, args))))
            self.flops += _operations(func.name(), args, result)
        return result

    def _like(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        key = (tuple(value.shape), value.stride(), value.dtype)
        if key not in self._made:
            self._made[key] = torch.randn_like(value)
        return self._made[key]

    def seconds(self) -> float:
        """Return what all of them take now."""
        with torch.no_grad():
            started = now()
            for function, arguments in self.calls:
                function(*arguments)
            return now() - started


class Worker:
    """One side in a process of its own: trains as many steps as it is asked for, or calls the convolutions alone."""

    def __init__(self, name: str, side: str, lq_size: int) -> None:
        torch.manual_seed(0)
        self.upscale, network, self.optimizer, self.to_float, self.average = SIDES[side](name)
        network.train()
        self.stream, self.iteration = batches(lq_size), 0
        self.convolutions = Convolutions()

    def step(self) -> list[float]:
        """Train one step; returns its loss and the seconds of every part."""
        self.iteration += 1
        raw = next(self.stream)
        marks = [now()]
        lq, gt = (self.to_float(images) for images in raw)
        marks.append(now())
        loss = F.l1_loss(self.upscale(lq), gt)
        marks.append(now())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        marks.append(now())
        self.optimizer.step()
        self.average(self.iteration)
        marks.append(now())
        return [loss.item(), *(b - a for a, b in pairwise(marks))]

    def first_step(self) -> list[float]:
        """Train the step whose convolutions are noted."""
        with self.convolutions:
            return self.step()

    def serve(self) -> None:
        """Answer every line of stdin, "steps N" or "convolutions N", with a line."""
        for line in sys.stdin:
            what, count = line.split()
            if what == "convolutions":
                answer: Any = [self.convolutions.flops, [self.convolutions.seconds() for _ in range(int(count))]]
            else:
                answer = [self.step() if self.iteration else self.first_step() for _ in range(int(count))]
            print(json.dumps(answer), flush=True)


SIDES = {"ours": our_side, "plain": plain_side}


def start(name: str, side: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve", side, "--networks", name, "--lq-size", str(options.lq_size)]
    command += ["--same-allocator"] if options.same_allocator else []
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str], question: str) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@dataclass
class Rounds:
    """Rows of every step by side and round, seconds of the convolutions by round, and their operations."""

    rows: dict[str, list[list[list[float]]]]
    convolutions: list[float]
    flops: int = 0

    def steps(self, side: str) -> list[float]:
        """Return the median step of every round that counts."""
        return [statistics.median(sum(row[1:]) for row in part) for part in self.rows[side][1:]]

    def losses(self, side: str) -> list[float]:
        """Return the loss of every step."""
        return [row[0] for part in self.rows[side] for row in part]


def measure(name: str, rounds: int, steps: int, options: argparse.Namespace) -> Rounds:
    """Let both sides take turns; the first round warms up."""
    sides = {side: start(name, side, options) for side in ("plain", "ours")}
    found = Rounds({side: [] for side in sides}, [])
    for number in range(rounds + 1):
        for side, process in sides.items():
            found.rows[side].append(ask(process, f"steps {steps}"))
        found.flops, seconds = ask(sides["ours"], f"convolutions {steps}")
        if number:
            found.convolutions.append(statistics.median(seconds))
    for process in sides.values():
        process.communicate()
    return found


def ratio(title: str, over: list[float], under: list[float], target: str) -> str:
    """Return a line: the median of the rounds' ratios, the lowest and highest, and the target."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{title}: {statistics.median(ratios):.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f}, target {target})"


def report(name: str, found: Rounds) -> bool:
    """Print what was measured of one network; returns whether both sides compute the same."""
    print(f"\n{name:16}{'it/s':>8}{'ms':>9}" + "".join(f"{part:>10}" for part in PARTS))
    for side, rounds in found.rows.items():
        timed = [row for part in rounds[1:] for row in part]
        parts = [1e3 * statistics.median(row[1 + place] for row in timed) for place in range(len(PARTS))]
        step = statistics.median(found.steps(side))
        print(f"{side:16}{1 / step:8.2f}{1e3 * step:9.1f}" + "".join(f"{part:10.2f}" for part in parts))
    alone = statistics.median(found.convolutions)
    print(f"{'convolutions':16}{'':8}{1e3 * alone:9.1f}  ({found.flops / alone / 1e9:.0f} GFLOP/s)")
    ours = found.steps("ours")
    print(ratio("plain / ours", found.steps("plain"), ours, f"at least {TARGETS[name]}"))
    print(ratio("ours / convolutions", ours, found.convolutions, f"at most {CONVOLUTIONS_TARGET}"))
    losses = found.losses("ours"), found.losses("plain")
    gap = max(abs(a - b) for a, b in zip(*losses, strict=True))
    first, last = losses[0][0], losses[0][-1]
    print(f"loss {first:.4f} -> {last:.4f} in {len(losses[0])} steps; largest difference {gap:.1e}")
    return gap <= ALLOWED


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds only")
    parser.add_argument("--networks", nargs="+", choices=tuple(PLAIN), default=tuple(PLAIN), help="which networks")
    parser.add_argument("--rounds", type=int, default=None, help="rounds that count; one before them warms up")
    parser.add_argument("--steps", type=int, default=None, help="steps of each side in a round")
    parser.add_argument("--lq-size", type=int, default=SIDE, help="side of the LQ crops")
    parser.add_argument("--same-allocator", action="store_true", help="tune the memory allocator for both sides")
    parser.add_argument("--serve", choices=tuple(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        if options.same_allocator:
            keep_freed_memory()
        Worker(options.networks[0], options.serve, options.lq_size).serve()
        return
    threads, clock = torch.get_num_threads(), "processor" if torch.get_num_threads() == 1 else "clock"
    print(f"torch {torch.__version__}, {threads} threads, {cpu_name()}; time of the {clock}, milliseconds are medians")
    same = True
    for name in options.networks:
        rounds = options.rounds or (3 if options.quick else 7)
        same &= report(name, measure(name, rounds, options.steps or STEPS[name], options))
    if not same:
        sys.exit(f"the two sides do not compute the same: more than {ALLOWED:g} apart")


if __name__ == "__main__":
    main()
