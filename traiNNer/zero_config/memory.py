"""The largest micro-batch that fits: sizes are really trained, from small to large; only a tested one is returned."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from traiNNer.batch import ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.runtime import is_out_of_memory
from traiNNer.engine.scoring import evaluating
from traiNNer.utils.host_memory import available_bytes, peak_bytes
from traiNNer.utils.tiles import run_tiled
from traiNNer.zero_config.bench import Bench, synthetic_batches

TARGET = 0.85
"""Share of the memory that may be in use, as the batch-size helper has it (`target_vram_usage`)."""


@dataclass(frozen=True)
class Fit:
    """A micro-batch that was trained: bytes used at the peak, bytes there are, and the size that failed, or 0."""

    size: int
    used: int
    total: int
    failed: int = 0


def sizes_up_to(batch: int) -> list[int]:
    """Return the sizes to try: divisors of the batch, so that parts are equal, each at least twice the one before."""
    sizes = [1]
    for size in range(2, batch + 1):
        if batch % size == 0 and (size >= 2 * sizes[-1] or size == batch):
            sizes.append(size)
    return sizes


def largest_fit(
    options: TrainOptions,
    sets: dict[str, ImageSet],
    validated: tuple[int, int],
    found: Callable[[Fit], None],
    say: Callable[[str], None],
) -> Fit | None:
    """Return the largest micro-batch of at most the options' size whose training and validation fit into memory.

    Args:
        options: of the run; `batch_size_per_gpu` is the size aimed at.
        sets: opened image sets, for what the run is told about them.
        validated: height and width in LQ pixels of what validation computes at a time.
        found: told of every size that fits, at once: the next may end the process.
        say: told what is being tried.
    """
    wanted = options.datasets["train"].batch_size_per_gpu
    available = available_bytes()
    total_host = available and available + peak_bytes()
    best: Fit | None = None
    for size in sizes_up_to(wanted):
        say(f"testing whether {size} crop{'s' * (size > 1)} at a time fit into memory")
        try:
            used, total = _try(options, sets, size, validated if best is None else None, total_host)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return best and Fit(best.size, best.used, best.total, size)
        if total and used > TARGET * total:
            return best and Fit(best.size, best.used, best.total, size)
        best = Fit(size, max(used, best.used if best else 0), total)  # the first of them has validated too
        found(best)
    return best


def _try(
    options: TrainOptions, sets: dict[str, ImageSet], size: int, validated: tuple[int, int] | None, total_host: int
) -> tuple[int, int]:
    """Train two steps (the second has the optimiser's state), validate; return bytes used at the peak and in all."""
    bench = Bench(options, sets)
    batches = synthetic_batches(options, size)
    for _ in range(2):
        bench.step(batches)
    if validated:
        _validate(bench, validated)
    memory = bench.runtime.memory()
    if memory is not None:
        return memory.used, memory.total
    return peak_bytes(), total_host


def _validate(bench: Bench, size: tuple[int, int]) -> None:
    network, options = bench.parts.scorer.network, bench.options
    lq = bench.runtime.to_float(torch.zeros((1, *size, 3), dtype=torch.uint8))
    upscale = bench.runtime.upscaler(network)
    with torch.inference_mode(), evaluating(network):
        if options.val.tile_size:
            run_tiled(upscale, lq, options.scale, options.val.tile_size, options.val.tile_overlap)
        else:
            upscale(lq)
