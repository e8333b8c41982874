"""`use_compile: auto`: networks are compiled where one training step can be."""

import gc
import sys
from copy import deepcopy

import torch
from torch import nn

from traiNNer.batch import ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.compiling import reason_of, what_is_missing
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.run.build import clip_frames
from traiNNer.run.preflight import crop_side, synthetic_images


def settle_compiling(
    options: TrainOptions, runtime: Runtime, network: nn.Module, train_set: ImageSet, book: Logbook
) -> None:
    """Let the runtime compile networks under `auto`, unless a step with a copy of this one fails on some rank."""
    if options.use_compile != "auto":
        return
    failed = _of_any(runtime, what_is_missing(runtime.device))
    if not failed:
        book.info("use_compile: auto: one step is compiled on trial, often for minutes.")
        copy = runtime.place(deepcopy(network))
        failed = _of_any(runtime, _failure(options, runtime, copy, crop_side(options, train_set)))
    runtime.switch_compiling(not failed)
    if failed:
        book.warn(f"use_compile: auto: networks are not compiled: {failed}. They run as they are.")


def _of_any(runtime: Runtime, failed: str | None) -> str | None:
    """Return what failed on the first rank where something did."""
    return next(filter(None, runtime.gather(failed)), None)


def _failure(options: TrainOptions, runtime: Runtime, network: nn.Module, side: int) -> str | None:
    """Return why a step, or an evaluation at two sizes, cannot be compiled; None where all of it can."""
    batch, frames = options.datasets["train"].batch_size_per_gpu, clip_frames(options)
    lq = synthetic_images((batch, 3, side, side), frames, torch.Generator().manual_seed(0)).to(runtime.device)
    if frames == 1:  # as batches come: another layout would be compiled anew
        lq = lq.contiguous(memory_format=runtime.memory_format)
    runtime.switch_compiling(True)
    try:
        with runtime.memory_apart(), runtime.rng.saved():
            upscale = runtime.upscaler(network.train())
            runtime.backward(upscale(lq).square().mean())
            network.eval()
            with torch.inference_mode():
                for width in (1, 2):  # a second size shows whether sizes can be compiled as variables
                    upscale(torch.cat([lq[:1]] * width, dim=-1))
    # Without a name: the error would keep the tensors of the failed attempt alive.
    except Exception:  # whatever it is, the run can do without
        return reason_of(sys.exception() or RuntimeError())
    finally:
        runtime.switch_compiling(False)
        network.zero_grad(set_to_none=True)
        gc.collect()
        runtime.release_memory()
    return None
