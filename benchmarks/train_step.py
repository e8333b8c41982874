"""Speed of one training step of paragonsr2_nano against a straightforward implementation of the same math.

    OMP_NUM_THREADS=2 python benchmarks/train_step.py [--quick] [--rounds N] [--steps N]

Batch 8, LQ 64x64, 2x, float32, L1 loss, AdamW, EMA, CPU. Both sides start from the same weights, see the same batches
and run in separate processes (the memory allocator's state belongs to a process), alternating every few steps, so that
other load on the machine affects both. Ours has what train.py uses: runtime, channels_last, fused AdamW,
`WeightAverage`. The reference scales layers by permute and copies, convolves with B*hidden groups, averages parameter
by parameter, is contiguous, and uses the default allocator; `--same-allocator` gives it our setting, which shows what
the setting alone contributes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import traiNNer  # noqa: F401 - before torch: it sets how threads wait

# isort: split

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.paragonsr2.network import paragonsr2_nano
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.weight_average import WeightAverage, decay_at
from traiNNer.utils.host_memory import keep_freed_memory

BATCH, SIDE, SCALE, DECAY = 8, 64, 2, 0.999
# At 1e-3 this start is chaotic after 45 steps: 1e-7 on one weight of the same network then moves the loss by 1e-2.
RATE = 2e-4
PARTS = ("data", "forward", "backward", "update")
TARGET = 2.5
ALLOWED = 1e-4


class PlainTransformer(nn.Module):
    """The dynamic transformer with one group per sample and channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch alone."""
        layer = self.layer
        x = layer.project_in(x)
        batch, channels, height, width = x.shape
        kernels = layer.kernel_generator.predictor(x).reshape(batch, channels, 3, 3)
        with torch.no_grad():
            mean = kernels.mean(0).unsqueeze(1)
            if layer.tracked_initialized:
                layer.tracked_kernel.lerp_(mean, layer.kernel_momentum)
            else:
                layer.tracked_kernel.copy_(mean)
                layer.tracked_initialized.fill_(True)
        planes, groups = x.reshape(1, batch * channels, height, width), batch * channels
        x = F.conv2d(planes, kernels.reshape(groups, 1, 3, 3), padding=1, groups=groups)
        return layer.project_out(F.leaky_relu(x.reshape(batch, channels, height, width), 0.1))


def plain_scale(x: Tensor, gamma: Tensor) -> Tensor:
    return (x.permute(0, 2, 3, 1).contiguous() * gamma).permute(0, 3, 1, 2).contiguous()


class PlainNano(nn.Module):
    """The forward pass of the published description, line by line, on the weights of our network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W to B, 3, 2H, 2W."""
        n = self.network
        f = n.conv_in(x)
        g = f
        for group in n.body:
            start = g
            for block in group.blocks:
                g = g + plain_scale(block.context(g), block.ls1.gamma)
                g = g + plain_scale(PlainTransformer(block.transformer)(g), block.ls2.gamma)
            g = g + start
        u = n.conv_fuse(g) + f
        up = n.magic_upsampler
        u = u + up.alpha * (up.sharpen(u) - u)
        u = up.resample_conv(F.interpolate(u, scale_factor=SCALE, mode="nearest"))
        h = n.hr_conv_in(u)
        for block in n.hr_head:
            h = h + block.conv2(F.leaky_relu(block.conv1(h), 0.1))
        return n.conv_out(h)


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 pairs like the loader: smooth random images and their area-averaged halves."""
    random = torch.Generator().manual_seed(0)
    while True:
        coarse = torch.rand(BATCH, 3, SIDE // 4, SIDE // 4, generator=random)
        gt = F.interpolate(coarse, size=SIDE * SCALE, mode="bicubic").clamp(0, 1)
        lq = F.avg_pool2d(gt, SCALE)
        yield tuple((t * 255).round().byte().permute(0, 2, 3, 1).contiguous() for t in (lq, gt))


Function = Callable[[Tensor], Tensor]
Side = tuple[Function, nn.Module, torch.optim.Optimizer, Function, Callable[[int], None]]


def our_side() -> Side:
    keep_freed_memory()
    runtime = Runtime(torch.device("cpu"), "benchmark", memory_format=torch.channels_last)
    network = runtime.place(paragonsr2_nano(scale=SCALE))
    average = WeightAverage(network, DECAY)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE, fused=True)
    return runtime.upscaler(network), network, optimizer, runtime.to_float, average.update


def plain_side() -> Side:
    network = paragonsr2_nano(scale=SCALE)
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE)

    def update(iteration: int) -> None:
        decay = decay_at(iteration, DECAY)
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                if tensor.is_floating_point():
                    average[name].mul_(decay).add_(tensor, alpha=1 - decay)
                else:
                    average[name].copy_(tensor)

    def to_float(images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).contiguous().float() / 255

    return PlainNano(network), network, optimizer, to_float, update


def serve(side: str, same_allocator: bool) -> None:
    """Run as many steps as each line of stdin says; answer with a line of losses and seconds per part."""
    torch.manual_seed(0)
    if same_allocator:
        keep_freed_memory()
    upscale, network, optimizer, to_float, average = {"ours": our_side, "plain": plain_side}[side]()
    network.train()
    stream, iteration = batches(), 0
    for line in sys.stdin:
        rows = []
        for _ in range(int(line)):
            iteration += 1
            raw = next(stream)
            marks = [time.perf_counter()]
            lq, gt = (to_float(images) for images in raw)
            marks.append(time.perf_counter())
            loss = F.l1_loss(upscale(lq), gt)
            marks.append(time.perf_counter())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            marks.append(time.perf_counter())
            optimizer.step()
            average(iteration)
            marks.append(time.perf_counter())
            rows.append([loss.item(), *(b - a for a, b in pairwise(marks))])
        print(json.dumps(rows), flush=True)


def start(side: str, same_allocator: bool) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve", side, *(["--same-allocator"] if same_allocator else [])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str], steps: int) -> list[list[float]]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def measure(rounds: int, steps: int, same_allocator: bool) -> dict[str, list[list[list[float]]]]:
    """Return, for each side, the rows of every round; the first round warms up."""
    sides = {name: start(name, same_allocator) for name in ("plain", "ours")}
    rows: dict[str, list[list[list[float]]]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, process in sides.items():
            rows[name].append(ask(process, steps))
    for process in sides.values():
        process.communicate()
    return rows


def report(rows: dict[str, list[list[list[float]]]]) -> None:
    totals = {
        name: [statistics.median(sum(row[1:]) for row in part) for part in rounds] for name, rounds in rows.items()
    }
    print(f"{'':12}{'it/s':>8}{'ms':>9}" + "".join(f"{part:>10}" for part in PARTS))
    for name, rounds in rows.items():
        timed = [row for part in rounds[1:] for row in part]
        parts = [1e3 * statistics.median(row[1 + place] for row in timed) for place in range(len(PARTS))]
        step = statistics.median(totals[name][1:])
        print(f"{name:12}{1 / step:8.2f}{1e3 * step:9.1f}" + "".join(f"{part:10.2f}" for part in parts))
    ratios = [plain / ours for plain, ours in zip(totals["plain"][1:], totals["ours"][1:], strict=True)]
    low, high = min(ratios), max(ratios)
    print(f"ours / plain: {statistics.median(ratios):.2f} (rounds {low:.2f} to {high:.2f}, target {TARGET})")
    losses = {name: [row[0] for part in rounds for row in part] for name, rounds in rows.items()}
    gap = max(abs(a - b) for a, b in zip(losses["ours"], losses["plain"], strict=True))
    first, last = losses["ours"][0], losses["ours"][-1]
    print(f"loss {first:.4f} -> {last:.4f} in {len(losses['ours'])} steps; largest difference {gap:.1e}")
    if gap > ALLOWED:
        sys.exit(f"the two sides do not compute the same: more than {ALLOWED:g} apart")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds only")
    parser.add_argument("--rounds", type=int, default=None, help="rounds that count; one before them warms up")
    parser.add_argument("--steps", type=int, default=None, help="steps of each side in a round")
    parser.add_argument("--same-allocator", action="store_true", help="tune the memory allocator for both sides")
    parser.add_argument("--serve", choices=("ours", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.same_allocator)
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds are medians")
    rounds, steps = (3, 4) if options.quick else (12, 5)
    report(measure(options.rounds or rounds, options.steps or steps, options.same_allocator))


if __name__ == "__main__":
    main()
