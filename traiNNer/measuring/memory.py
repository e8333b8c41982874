"""The largest micro-batch that fits: sizes are really trained, from small to large; only a tested one is returned."""

from collections.abc import Callable
from dataclasses import replace

import torch

from traiNNer.batch import ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.evaluation.evaluation import SMALLEST_TILE
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.measuring.bench import Bench, release, synthetic_batches
from traiNNer.measuring.measured import Fit
from traiNNer.models.protocol import MAIN
from traiNNer.registry import ARCHS
from traiNNer.run.automations import chosen_automations
from traiNNer.utils.host import free_memory
from traiNNer.utils.host_memory import peak_bytes
from traiNNer.utils.upscaling import upscale_image

TARGET = 0.85
"""Share of the memory that may be in use where no batch-size automation names another."""


def target_of(options: TrainOptions) -> float:
    """Return the share of the memory that may be in use: the batch-size automation's `target_vram_usage`."""
    named = [choice.get("target_vram_usage") for choice in chosen_automations(options).values()]
    return next((share for share in named if share), TARGET)


def sizes_up_to(batch: int) -> list[int]:
    """Return the sizes to try: divisors of the batch, each at least twice the one before."""
    sizes = [1]
    for size in range(2, batch + 1):
        if batch % size == 0 and (size >= 2 * sizes[-1] or size == batch):
            sizes.append(size)
    return sizes


def largest_fit(
    options: TrainOptions, sets: dict[str, ImageSet], found: Callable[[Fit], None], say: Callable[[str], None]
) -> Fit | None:
    """Return the largest micro-batch of at most the options' size whose training fits into memory; None: not even one.

    Args:
        options: of the run; `batch_size_per_gpu` is the size aimed at.
        sets: opened image sets by key.
        found: receives every size that fits, at once: the next may end the process.
        say: receives what is being tried.
    """
    wanted = options.datasets["train"].batch_size_per_gpu
    available = free_memory()
    total_host = available + peak_bytes() if available else 0
    best: Fit | None = None
    target = target_of(options)
    for size in sizes_up_to(wanted):
        say(f"testing whether {size} crop{'s' * (size > 1)} at a time fit into memory")
        try:
            used, total = _train(options, sets, size, total_host)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return best and replace(best, failed=size)
        if total and used > target * total:
            return best and replace(best, failed=size)
        best = Fit(size, used, total)
        found(best)
    return best


def _train(options: TrainOptions, sets: dict[str, ImageSet], size: int, total_host: int) -> tuple[int, int]:
    """Train two steps (the second has the optimizer's state). Returns bytes used at the peak, and bytes there are."""
    bench = Bench(options, sets)
    try:
        bench.runtime.memory()
        batches = synthetic_batches(options, size)
        for _ in range(2):
            bench.step(batches)
        memory = bench.runtime.memory()
        return (memory.used, memory.total) if memory is not None else (peak_bytes(), total_host)
    finally:
        release(options, bench)


def fitting_tile(
    options: TrainOptions, sets: dict[str, ImageSet], largest: tuple[int, int], say: Callable[[str], None]
) -> int:
    """Return the tile side, in LQ pixels, with which the largest image can be validated; 0: whole, as it is.

    It fits when no more of the device is in use than training may take; the smallest tile is taken if it runs at all.

    Args:
        options: of the run; `val.tile_size` is tried first.
        sets: opened image sets by key.
        largest: height and width of the largest image in LQ pixels.
        say: receives what is being tried.
    """
    tile = options.val.tile_size
    while True:
        height, width = (min(side, tile + 2 * options.val.tile_overlap) if tile else side for side in largest)
        say(f"testing whether {width}x{height} pixels can be validated at a time")
        is_smallest = (tile or max(largest)) // 2 < SMALLEST_TILE
        bench = Bench(options, sets)
        try:
            if _validate(bench, (height, width)) <= target_of(options) or is_smallest:
                return tile
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or is_smallest:
                raise
        finally:
            release(options, bench)
        tile = (tile or max(largest)) // 2


def _validate(bench: Bench, size: tuple[int, int]) -> float:
    """Upscale an image of a size in LQ pixels. Returns the share of the device in use at the peak; 0 if not told."""
    network = bench.training.learners[MAIN].shipped
    traits = ARCHS[bench.options.network_g.type].traits
    lq = bench.runtime.to_float(torch.zeros((1, *size, 3), dtype=torch.uint8))
    bench.runtime.memory()
    with bench.runtime.inference_with_saved_rng(), evaluating(network):
        upscale_image(bench.runtime.upscaler(network), lq, bench.options.scale, traits)
    memory = bench.runtime.memory()
    return memory.used / memory.total if memory else 0.0
