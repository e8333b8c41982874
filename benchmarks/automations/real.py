"""What the automations do for real runs: train.py in separate processes, on photos, with and without them.

    python -m benchmarks.automations --only real [--part PART] [--data DIR] [--test DIR] [--work DIR] [--jobs 2]

The guide's file and both presets' files as zero-config writes them, shortened (`files.py`), four networks (`arms.py`),
six seeds. The score of a run is the mean of its last three validations of the averaged weights (PSNR of luma, dB, of
the middle 96 x 96 pixels of every test photo). Everything is compared in pairs of one seed, which see the same crops in
the same order; intervals are Student's over seeds. The runs that a table needs most are made first, seed by seed, and a
table shows the seeds that there are; after Ctrl+C the same command with the same `--work` continues.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.automations import real_healthy, real_rates, real_stops
from benchmarks.automations.arms import SMALL, Arms
from benchmarks.automations.figures import SEEDS, Find, Scope, Table, Wanted
from benchmarks.automations.photos import prepare
from benchmarks.automations.runner import Runs

TEST_SIDE = 96
QUICK = 10
"""Divisor of the length of the runs in the quick form: every part runs, the figures are meaningless."""
Part = tuple[Sequence[Callable[[Scope, Find], Wanted]], Callable[[Scope, Find], Table]]
PARTS: dict[str, Part] = {
    "healthy": ([lambda scope, _: real_healthy.runs(scope)], real_healthy.table),
    "rates": ([lambda scope, _: real_rates.sweep_runs(scope), real_rates.rate_runs], real_rates.rates),
    "spikes": ([lambda scope, _: real_rates.spike_runs(scope)], real_rates.spikes),
    "flat": ([lambda scope, _: real_stops.flat_runs(scope)], real_stops.flat),
    "overfit": ([lambda scope, _: real_stops.overfit_runs(scope)], real_stops.overfit),
}


def measure(
    data: Path | None = None,
    test: Path | None = None,
    work: Path | None = None,
    jobs: int = 1,
    is_quick: bool = False,
    parts: Sequence[str] = tuple(PARTS),
    seeds: Sequence[int] = SEEDS,
) -> bool:
    """Run the parts, print their tables, and return whether every target was met (quick: whether all runs ended well).

    Args:
        data: Folder of sharp photos to train on; the demo photos when None.
        test: Folder of sharp photos to score with; those of the demo set when None.
        work: Folder for photos, runs and results, where an interrupted benchmark continues; a temporary one when None.
        jobs: Runs at a time, one thread each unless OMP_NUM_THREADS is set.
        is_quick: Two seeds of the small network, few iterations.
        parts: What to measure, in this order.
        seeds: Seeds of the runs.
    """
    if work is None:
        with tempfile.TemporaryDirectory() as folder:
            return measure(data, test, Path(folder), jobs, is_quick, parts, seeds)
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    photos = prepare(data, test, work / "photos", TEST_SIDE)
    scope = Scope(Arms(photos), seeds=seeds)
    if is_quick:
        scope = Scope(Arms(photos, QUICK), [SMALL], seeds=seeds[:2])
    runs = Runs(work, jobs, say=partial(print, flush=True))
    missed = [text for part in parts for text in measure_part(part, scope, runs).missed]
    print("\n".join([f"MISS {text}" for text in missed] or ["every target was met"]), flush=True)
    return is_quick or not missed


def measure_part(part: str, scope: Scope, runs: Runs) -> Table:
    """Make the runs of a part and print its table, also of what there is when interrupted."""
    stages, table_of = PARTS[part]
    try:
        for wanted in stages:
            runs.measure(wanted(scope, runs.find))
    finally:
        table = table_of(scope, runs.find)
        print(f"\n{table}\n", flush=True)
    return table
