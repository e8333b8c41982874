"""Evidence that the training automations help.

    python -m benchmarks.automations [--quick] [--only simulated|faults|cost|real] [--part healthy|rates|...]
        [--data DIR] [--test DIR] [--work DIR] [--jobs N] [--seeds 6]

Simulated: every automation on at least 100 seeded runs per scenario, beside baselines. Faults: the exact retry after
running out of memory. Cost: iterations with and without, alternating, on an idle machine. Real: training runs on photos
with and without automations, six seeds in pairs. The exit code is 1 when a target is missed. Without `--data` the demo
photos are used; the published table in docs/automations_evidence.md is made with 400 photos of BSDS and with Set5.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.automations.rows import Row, table
from benchmarks.automations.simulate import SIMULATIONS, simulate

REAL = ("healthy", "rates", "spikes", "flat", "overfit")
PARTS = ("simulated", "faults", "cost", "real")


def simulated(quick: bool) -> bool:
    """Run all simulations, one process per core."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        rows = [row for part in pool.map(simulate, SIMULATIONS, [quick] * len(SIMULATIONS)) for row in part]
    return report(rows)


def faults(quick: bool) -> bool:
    """Compare runs that ran out of memory with runs that did not."""
    from benchmarks.automations import memory_faults

    return report(memory_faults.run(quick))


def report(rows: list[Row]) -> bool:
    """Print a table; return whether every target in it is met."""
    sys.stdout.write(table(rows) + "\n\n")
    return all(row.is_met for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.automations", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--quick", action="store_true", help="simulations and faults with fewer runs: under three minutes"
    )
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--data", type=Path, help="folder of training photos (default: the demo set)")
    parser.add_argument("--test", type=Path, help="folder of test photos")
    parser.add_argument("--work", type=Path, help="folder for the real runs; reuse it to continue")
    parser.add_argument("--jobs", type=int, default=1, help="training processes at once, each with one thread")
    parser.add_argument("--part", action="append", choices=REAL, help="a part of the real runs; may be repeated")
    parser.add_argument("--seeds", type=int, default=6, help="seeds of the real runs; published with six")
    args = parser.parse_args()
    wanted = (args.only,) if args.only else ("real",) if args.part else ("simulated", "faults") if args.quick else PARTS
    met = True
    for part in wanted:
        sys.stdout.write(f"## {part}\n\n")
        if part == "simulated":
            met &= simulated(args.quick)
        elif part == "faults":
            met &= faults(args.quick)
        elif part == "cost":
            from benchmarks.automations import cost

            met &= cost.report(500)
        else:
            from benchmarks.automations import real

            parts, seeds = args.part or REAL, range(1, args.seeds + 1)
            met &= real.measure(args.data, args.test, args.work, args.jobs, args.quick, parts, seeds)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
