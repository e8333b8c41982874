"""What more ranks bring on this machine's CPU, and what their communication costs.

    python -m benchmarks.scaling [--ranks 1 2 4] [--steps 10] [--rounds 5] [--quick] [-o docs/scaling.md]

Every rank trains the same number of synthetic crops a step, with one thread, by the step of train.py and gloo: a small
network whose gradients are averaged in one piece, and a large one whose gradients leave in buckets during backward. In
every round usual steps, steps with one piece for the large network too, and the average alone alternate, so that other
load affects all. With more ranks than cores the ranks share the cores. `-o` writes the table
into a page, between its marks.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = {"paragonsr2_nano": (8, 48), "paragonsr2_m": (2, 24)}
"""Network: crops of each rank and their side in LQ pixels."""
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEAD = "| network | ranks | step ms | images/s | per rank | gradients MB | average ms | one piece ms | hidden |"
OPTIONS = """
name: scaling
scale: 2
num_gpu: 0
network_g: {{type: {network}}}
datasets:
  train: {{type: pairedimagedataset, dataroot_gt: x, dataroot_lq: x, lq_size: {side}, batch_size_per_gpu: {batch}}}
train:
  total_iter: 1000000
  ema_decay: 0.999
  optim_g: {{type: AdamW, lr: 1e-4}}
  losses: [{{type: L1Loss}}]
  suspects: false
val: {{val_enabled: false}}
"""


class Crops:
    """Stands for a dataset of which only the size of the crops is asked."""

    def __init__(self, side: int) -> None:
        self.crop_size, self.has_gt = side, True

    def __len__(self) -> int:
        return 1000


def rank_main(steps: int, rounds: int) -> None:
    """Train as one rank; the first one prints the milliseconds of every round as JSON."""
    import torch

    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions
    from traiNNer.engine.log.logbook import Logbook
    from traiNNer.engine.runtime import buckets
    from traiNNer.engine.runtime.start import start_runtime
    from traiNNer.measuring.bench import synthetic_batches
    from traiNNer.run.assemble import assemble_training
    from traiNNer.run.build import build_networks

    torch.set_num_threads(1)
    options = load_options(Path(os.environ["OPTIONS"]), TrainOptions).options
    runtime, _ = start_runtime(options, joins=True)
    crops: Any = Crops(options.datasets["train"].get("lq_size"))

    def build(large_bytes: float) -> Any:
        buckets.LARGE_BYTES = large_bytes  # type: ignore[assignment]
        return assemble_training(options, runtime, build_networks(options), crops, Logbook(quiet=True), may_split=False)

    usual = build(buckets.LARGE_BYTES)
    flat = build(float("inf"))
    batches = synthetic_batches(options, seed=runtime.rank)
    gradients = [torch.zeros_like(parameter) for parameter in usual.learners["net_g"].parameters]

    def timed(work: Any, count: int) -> float:
        runtime.max_over_ranks(0)  # all begin together
        started = time.perf_counter()
        for _ in range(count):
            work()
        return (time.perf_counter() - started) / count * 1000

    works = {"step": lambda: usual.advance(batches), "flat": lambda: flat.advance(batches)}
    works["average"] = lambda: runtime.average(gradients)
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(timed(work, steps))
    if runtime.is_main:
        print("FIGURES " + json.dumps({**found, "bytes": sum(4 * one.numel() for one in gradients)}), flush=True)
    runtime.close()


def measure(network: str, ranks: int, steps: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Start the ranks and return what the first one measured."""
    batch, side = NETWORKS[network]
    options = folder / f"{network}.yml"
    options.write_text(OPTIONS.format(network=network, side=side, batch=batch))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    common = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    common |= {"OPTIONS": str(options), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.scaling", "--as-rank"]
    command += ["--steps", str(steps), "--rounds", str(rounds)]
    started = [
        subprocess.Popen(command, env=os.environ | common | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(ranks)
    ]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"a rank failed:\n{''.join(said)}")
    line = next(line for line in said[0].splitlines() if line.startswith("FIGURES "))
    return json.loads(line.removeprefix("FIGURES "))


def row(network: str, ranks: int, found: dict[str, Any], alone: float) -> str:
    """Return a row of the table; `alone` is the pace of one rank, in images per second."""
    batch, _ = NETWORKS[network]
    step, flat, average = (statistics.median(found[name]) for name in ("step", "flat", "average"))
    pace = ranks * batch / step * 1000
    hidden = f"{min(1.0, max(0.0, (flat - step) / average)):.0%}" if ranks > 1 and average else "-"
    cells = [network, ranks, f"{step:.1f}", f"{pace:.1f}", f"{pace / ranks / alone:.0%}", f"{found['bytes'] / 1e6:.2f}"]
    cells += [f"{average:.2f}" if ranks > 1 else "-", f"{flat:.1f}" if ranks > 1 else "-", hidden]
    return f"| {' | '.join(map(str, cells))} |"


def table(networks: list[str], counts: list[int], steps: int, rounds: int, folder: Path) -> list[str]:
    """Measure everything and return the lines of the table."""
    lines = [HEAD, "|" + "---|" * (HEAD.count("|") - 1)]
    for network in networks:
        alone = 0.0
        for ranks in counts:
            found = measure(network, ranks, steps, rounds, folder)
            pace = NETWORKS[network][0] / statistics.median(found["step"]) * 1000
            alone = alone or pace
            lines.append(row(network, ranks, found, alone))
            print(lines[-1], flush=True)
    return lines


def about() -> str:
    """Return machine, versions and date in one line."""
    import platform
    from datetime import UTC, datetime

    import torch

    from traiNNer.utils.processor import cpu_name

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {cpu_name()}, {cores} cores, load {load:.1f} at the start; "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def between_marks(page: Path, lines: list[str]) -> None:
    """Write lines into a page, between its marks."""
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text("\n".join([head + BEGIN, "", *lines, "", END + tail]), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the small network on one and two ranks, two steps")
    parser.add_argument("-o", type=Path, dest="output", help="the page that the table is written into")
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_rank:
        rank_main(args.steps, args.rounds)
        return
    import tempfile

    if args.quick:
        args.ranks, args.steps, args.rounds = [1, 2], 1, 1
    line = about()
    with tempfile.TemporaryDirectory() as folder:
        names = list(NETWORKS)[:1] if args.quick else list(NETWORKS)
        lines = table(names, args.ranks, args.steps, args.rounds, Path(folder))
    print("\n".join([line, "", *lines]))
    if args.output:
        between_marks(args.output, [line, "", *lines])


if __name__ == "__main__":
    main()
