"""What the device can do at best, measured: arithmetic by a matrix product, memory by a copy."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.runtime.stopwatch import Stopwatch

TRIES = 5
SIDES = {True: 1024, False: 8192}
"""Of the matrices, by whether the device is the CPU: large enough that starting the product does not count."""
COPIED_BYTES = {True: 2**27, False: 2**30}


@dataclass(frozen=True)
class Limits:
    """Floating-point operations per second in the run's precision, and bytes per second read and written."""

    flops: float
    bandwidth: float


def measure_limits(runtime: Runtime) -> Limits:
    """Measure both, each as the best of several tries: other load only makes them slower."""
    on_cpu = runtime.reads_are_free
    side, count = SIDES[on_cpu], COPIED_BYTES[on_cpu] // 4
    matrix = torch.rand(side, side, device=runtime.device, dtype=runtime.half or torch.float32)
    source = torch.rand(count, device=runtime.device)
    target = torch.empty_like(source)
    watch = Stopwatch(runtime.device)
    product_s = best_of(lambda: matrix @ matrix, watch)
    copy_s = best_of(lambda: target.copy_(source), watch)
    return Limits(2 * side**3 / product_s, 2 * 4 * count / copy_s)


def best_of(work: Callable[[], object], watch: Stopwatch) -> float:
    """Return the least seconds of several tries."""
    seconds = []
    for _ in range(TRIES + 1):
        watch.wait()
        started = time.perf_counter()
        work()
        watch.wait()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
