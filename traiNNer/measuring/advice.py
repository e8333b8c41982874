"""The table of where the time of a run goes, and what to change first."""

from traiNNer.config.options import TrainOptions
from traiNNer.measuring.breakdown import (
    BACKWARD,
    DATA,
    EMA,
    FORWARD,
    LOG,
    LOSSES,
    PARTS,
    REST,
    UPDATE,
    VALIDATION,
    Breakdown,
)

MOST_DATA, MOST_VALIDATION, MOST_LOSSES, MOST_AROUND = 0.15, 0.2, 0.3, 0.25
"""Shares of the time from which on a part is the first thing to change."""
LITTLE_USE = 0.25
"""A share of the device's arithmetic below which something else than arithmetic limits the network."""


def table(found: Breakdown) -> list[str]:
    """Return the rows: of every part its milliseconds, its share, and the least that the device's limits allow."""
    rows = [f"{'part':<12} {'ms':>9} {'%':>6} {'at least ms':>12}"]
    for part in PARTS:
        seconds, least = found.parts[part], found.least(part)
        limit = "" if least is None else f"{least * 1000:.3f}"
        rows.append(f"{part:<12} {seconds * 1000:>9.3f} {seconds / found.total:>6.1%} {limit:>12}".rstrip())
    rate = f"{1 / found.total:.2f} it/s, {found.images / found.total:.1f} images/s"
    rows.append(f"{'iteration':<12} {found.total * 1000:>9.3f} {1:>6.1%}  {rate}")
    limits = found.limits
    rows.append(
        f"Limits: {limits.flops / 1e9:,.0f} GFLOP/s (a matrix product), {limits.bandwidth / 1e9:,.1f} GB/s (a copy). "
        f"Forward and backward compute {found.flops / 1e9:,.2f} GFLOP at {found.achieved:.0%} of the first."
    )
    if found.parts[VALIDATION]:
        rows.append(f"One validation takes {found.validation_s:,.1f} s.")
    return rows


def advice(found: Breakdown, options: TrainOptions) -> str:
    """Return in one sentence what to change first."""
    share = {part: seconds / found.total for part, seconds in found.parts.items()}
    data, val = options.datasets["train"], options.val
    if share[DATA] > MOST_DATA:
        workers = data.num_worker_per_gpu
        return (
            f"Change first: data is waited for {share[DATA]:.0%} of the time; raise datasets.train.num_worker_per_gpu "
            f"above {workers}, or store the images as smaller crops."
        )
    if share[VALIDATION] > MOST_VALIDATION:
        return (
            f"Change first: validation takes {share[VALIDATION]:.0%} of the time; raise val.val_freq above "
            f"{val.val_freq:,}, or validate with fewer images."
        )
    if share[LOSSES] > MOST_LOSSES:
        return f"Change first: the losses take {share[LOSSES]:.0%} of the time; leave out the most costly one."
    around = share[UPDATE] + share[EMA] + share[REST] + share[LOG]
    if around > MOST_AROUND:
        batch = data.batch_size_per_gpu
        return (
            f"Change first: update, EMA and automations take {around:.0%} of the time, whatever the batch; raise "
            f"datasets.train.batch_size_per_gpu above {batch} if there is memory."
        )
    if found.achieved < LITTLE_USE:
        return (
            f"Change first: the network takes {share[FORWARD] + share[BACKWARD]:.0%} of the time at "
            f"{found.achieved:.0%} of the device's arithmetic: its layers are too small or move too much memory. Try "
            "a larger batch, use_amp, or use_compile."
        )
    return (
        f"Nothing to change: the network takes {share[FORWARD] + share[BACKWARD]:.0%} of the time at "
        f"{found.achieved:.0%} of the device's arithmetic; only a smaller network, crop or batch is quicker here."
    )
