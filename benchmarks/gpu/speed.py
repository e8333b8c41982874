"""The speed of a training step in every precision and layout, one line of JSON for each arm as soon as it is measured.

    python -m benchmarks.gpu.speed NETWORK [--device cuda] [--batch 8] [--side 64] [--steps 10]

Every arm starts from the same weights on the same images. Milliseconds are the median of five blocks of steps; the
difference is that of the loss of the last step from float32's, relative.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.training import TINY, images, training_of
from traiNNer.engine.training import Training

LAST, BLOCKS, WARM = torch.channels_last, 5, 5
ARMS: dict[str, dict[str, Any]] = {
    "float32": {},
    "TF32": {"tf32": True},
    "bf16": {"half": torch.bfloat16},
    "fp16": {"half": torch.float16},
    "float32, channels_last": {"memory_format": LAST},
    "TF32, channels_last": {"tf32": True, "memory_format": LAST},
    "bf16, channels_last": {"half": torch.bfloat16, "memory_format": LAST},
    "fp16, channels_last": {"half": torch.float16, "memory_format": LAST},
    "TF32, compiled": {"tf32": True, "use_compile": True},
    "bf16, channels_last, compiled": {"half": torch.bfloat16, "memory_format": LAST, "use_compile": True},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "nano": {"arch": "paragonsr2_nano"},
    "compact": {"arch": "compact"},
    "tiny": TINY,
}


@dataclass(frozen=True)
class Speed:
    """What an arm takes: milliseconds of a step, seconds of the first one, bytes at the peak, the last loss."""

    network: str
    arm: str
    ms: float = 0.0
    first_s: float = 0.0
    peak: int = 0
    loss: float = 0.0
    failed: str = ""


def measure(network: str, arm: str, device: torch.device, batch: int, side: int, steps: int) -> Speed:
    """Return how fast an arm is."""
    options = dict(ARMS[arm])
    tf32 = options.pop("tf32", False)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = tf32, True
    training = training_of(device, NETWORKS[network], batch, **options)
    pairs = [images(batch, side, seed) for seed in range(4)]
    first_s = timed(training, pairs, 1)
    timed(training, pairs, WARM)
    training.runtime.memory()
    seconds = statistics.median(timed(training, pairs, steps) for _ in range(BLOCKS)) / steps
    memory = training.runtime.memory()
    report = training.advance([pairs[0]]).main
    assert report is not None
    return Speed(network, arm, 1e3 * seconds, first_s, memory.reserved if memory else 0, report.terms["l1"].item())


def timed(training: Training, pairs: list[Any], steps: int) -> float:
    """Return the seconds of some steps, waiting for the device at the end only."""
    started = time.perf_counter()
    for step in range(steps):
        training.advance([pairs[step % len(pairs)]])
    training.window.read()  # waits
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS, metavar="ARM")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    for arm in args.arms:
        try:
            found = measure(args.network, arm, torch.device(args.device), args.batch, args.side, args.steps)
        except Exception as error:  # the other arms still tell something
            found = Speed(args.network, arm, failed=f"{type(error).__name__}: {error}"[:300])
        sys.stdout.write(json.dumps(dataclasses.asdict(found)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
