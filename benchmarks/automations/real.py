"""What the automations do for real runs: train.py in separate processes, on photos, with and without them.

    python -m benchmarks.automations.real [--quick] [--data DIR] [--test DIR] [--work DIR] [--jobs 2]

Both networks, three seeds. Scores are the PSNR (luma, in dB) of the EMA weights on the test photos, as train.py's own
validation computes it. Arms of one seed run next to each other, so that other load on the machine affects all of them.
After Ctrl+C, the same command with the same `--work` continues. `--quick` runs every part with so few iterations that
only completion is checked.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.automations.arms import NETWORKS, Network, arms, overfit_arms, quick
from benchmarks.automations.checks import (
    Check,
    arm_table,
    check_table,
    default_checks,
    rate_checks,
    spike_checks,
    stopping_checks,
)
from benchmarks.automations.photos import Photos, prepare
from benchmarks.automations.runner import Arm, Result, Runs

SEEDS = (1, 2, 3)
AUTOMATED = ("_automation", "_automations", "-stopping")
ArmsByNetwork = dict[str, dict[str, Arm]]
ResultsByNetwork = dict[str, dict[str, list[Result]]]


def measure(
    data: Path | None = None,
    test: Path | None = None,
    work: Path | None = None,
    jobs: int = 1,
    is_quick: bool = False,
) -> bool:
    """Run every arm, print the tables, and return whether every target was met.

    Args:
        data: Folder of sharp photos to train on; the demo photos when None.
        test: Folder of sharp photos to score with; those of the demo set when None.
        work: Folder for photos, runs and results, where an interrupted benchmark continues; a temporary one when None.
        jobs: Runs at a time, one thread each unless OMP_NUM_THREADS is set.
        is_quick: One seed of the small network with few iterations.
    """
    if work is None:
        with tempfile.TemporaryDirectory() as folder:
            return measure(data, test, Path(folder), jobs, is_quick)
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    photos = prepare(data, test, work / "photos")
    networks = [quick(NETWORKS[0])] if is_quick else list(NETWORKS)
    seeds = SEEDS[:1] if is_quick else SEEDS
    wanted = {network.title: _arms(photos, network) for network in networks}
    found = Runs(work, jobs, say=partial(print, flush=True)).measure(in_turn(wanted, seeds))
    results: ResultsByNetwork = {
        title: {name: [found[arm.name, seed] for seed in seeds] for name, arm in by_arm.items()}
        for title, by_arm in wanted.items()
    }
    return _report(results, judged=not is_quick)


def _arms(photos: Photos, network: Network) -> dict[str, Arm]:
    return arms(photos, network) | (overfit_arms(photos, network) if network.overfit_iter else {})


def in_turn(wanted: ArmsByNetwork, seeds: Sequence[int]) -> list[tuple[Arm, int]]:
    """Return the order of the runs: seed by seed, network by network; every other seed backwards."""
    order = []
    for place, seed in enumerate(seeds):
        for by_arm in wanted.values():
            row = list(by_arm.values())
            order += [(arm, seed) for arm in (row[::-1] if place % 2 else row)]
    return order


def _report(results: ResultsByNetwork, judged: bool) -> bool:
    checks = [check for title, by_arm in results.items() for check in _checks(title, by_arm)]
    print(f"\n{arm_table(results)}\n\n{check_table(checks, judged)}\n")
    if judged:
        return all(check.met for check in checks)
    rows = [row for by_arm in results.values() for name, row in by_arm.items() if name.endswith(AUTOMATED)]
    return all(result.exit_code == 0 for row in rows for result in row)


def _checks(title: str, by_arm: dict[str, list[Result]]) -> list[Check]:
    checks = [*rate_checks(title, by_arm.__getitem__), *spike_checks(title, by_arm.__getitem__)]
    checks += default_checks(title, by_arm.__getitem__)
    return [*checks, *(stopping_checks(title, by_arm.__getitem__) if "few" in by_arm else [])]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the real runs to a command line."""
    parser.add_argument("--data", type=Path, help="folder of sharp photos to train on (default: the demo photos)")
    parser.add_argument("--test", type=Path, help="folder of sharp photos to score with")
    parser.add_argument("--work", type=Path, help="folder for runs and results; reuse it to continue")
    parser.add_argument("--jobs", type=int, default=1, help="training runs at a time")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one network, few iterations")
    add_options(parser)
    options = parser.parse_args()
    met = measure(options.data, options.test, options.work, options.jobs, options.quick)
    sys.exit(0 if met else "not every target was met")


if __name__ == "__main__":
    main()
