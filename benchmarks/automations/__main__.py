"""The evidence that the training automations help, for anyone to run.

    python -m benchmarks.automations [--quick] [--only simulated|faults|cost|real] [--data DIR] [--test DIR] [--jobs N]

Simulated: every helper on at least 100 seeded runs per scenario, beside baselines. Faults: the exact retry after
running out of memory. Cost: iterations with and without, in turns. Real: training runs on photos, three seeds, with and
without helpers. The exit code is 1 when a target is missed. Without `--data` the demo photos are used; the published
table in docs/automations.md was made with 400 photos of BSDS and Set5.
"""

import argparse
import sys
from pathlib import Path

PARTS = ("simulated", "faults", "cost", "real")


def simulated(quick: bool) -> bool:
    from benchmarks.automations import simulated_batch, simulated_clipping, simulated_rate, simulated_stopping
    from benchmarks.automations.rows import table

    rows = [
        row
        for part in (simulated_rate, simulated_batch, simulated_clipping, simulated_stopping)
        for row in part.run(quick)
    ]
    sys.stdout.write(table(rows) + "\n\n")
    return all(row.is_met for row in rows)


def faults(quick: bool) -> bool:
    from benchmarks.automations import memory_faults
    from benchmarks.automations.rows import table

    rows = memory_faults.run(quick)
    sys.stdout.write(table(rows) + "\n\n")
    return all(row.is_met for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.automations", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: under three minutes")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--data", type=Path, help="folder of training photos (default: the demo set)")
    parser.add_argument("--test", type=Path, help="folder of test photos")
    parser.add_argument("--jobs", type=int, default=1, help="training processes at once, each with one thread")
    args = parser.parse_args()
    wanted = (args.only,) if args.only else ("simulated", "faults", "real") if args.quick else PARTS
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

            met &= real.run(args.quick, args.data, args.test, args.jobs)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
