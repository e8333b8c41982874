"""Training throughput alone and beside busy programs, with sleeping threads and with OpenMP's default.

    python benchmarks/busy_machine.py [--seconds 20] [--repetitions 5] [--output busy_machine.md]

Real runs of `train.py`, which lets waiting threads sleep, alternate with runs whose threads spin as OpenMP has it by
default. Each is measured alone, then beside one and beside two processes that compute without a pause; the iterations
during which such a process starts are left out. Nothing else should run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from traiNNer.utils.threads import VARIABLES

# GNU OpenMP's default spin count; setting it keeps traiNNer from choosing.
POLICIES: dict[str, dict[str, str]] = {"sleep": {}, "spin": {"GOMP_SPINCOUNT": "300000"}}
NAMES = {"sleep": "waiting threads soon sleep (traiNNer)", "spin": "they spin (OpenMP's default)"}
NEIGHBORS = (0, 1, 2)
WARM, LEAST, POLL_S = 3, 2, 0.2
BUSY_TARGET, QUIET_TARGET = 1 / 3, 0.97

Paces = Mapping[int, float]
"""Iterations a second by the number of busy processes beside the run."""


class Training:
    """A running `train.py` whose throughput is measured."""

    def __init__(self, process: subprocess.Popen[bytes], record: Path, screen: Path) -> None:
        self.process, self.record, self.screen = process, record, screen
        self._paces: list[float] = []
        self._read_bytes = 0

    def wait_for(self, iterations: int) -> None:
        """Return after a number of iterations. Raises `SystemExit` when the run ends before."""
        while len(self._read()) < iterations:
            if self.process.poll() is not None:
                raise SystemExit(f"train.py ended with {self.process.returncode}:\n{self.screen.read_text()[-2000:]}")
            time.sleep(POLL_S)

    def measure(self, seconds: float) -> float:
        """Return the iterations a second of the next `seconds`, of two iterations at least."""
        first = len(self._read()) + 1  # the current one began under other conditions
        time.sleep(seconds)
        self.wait_for(first + LEAST)
        paces = self._read()[first:]
        return len(paces) / sum(1 / pace for pace in paces)

    def _read(self) -> list[float]:
        if self.record.exists():
            with self.record.open("rb") as file:
                file.seek(self._read_bytes)
                for line in file:
                    if line.endswith(b"\n"):
                        self._read_bytes += len(line)
                        self._paces += [found["it_per_s"] for found in [json.loads(line)] if "it_per_s" in found]
        return self._paces


@contextmanager
def training(options: Path, folder: Path, policy: str) -> Iterator[Training]:
    """Start an endless run in a folder and kill it afterwards."""
    sets = ["name=busy", "train.total_iter=100000000", "logger.print_freq=1", "logger.use_tb_logger=false"]
    sets += ["logger.save_checkpoint_freq=100000000", "val.val_enabled=false"]
    changes = [part for one in sets for part in ("--set", one)]
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | POLICIES[policy]
    with (folder / "screen.txt").open("wb") as screen:
        command = [sys.executable, str(REPOSITORY / "train.py"), "-opt", str(options), *changes]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=screen, stderr=subprocess.STDOUT)
        try:
            yield Training(process, folder / "experiments/busy/metrics.jsonl", folder / "screen.txt")
        finally:
            process.kill()
            process.wait()


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def paces_of(options: Path, folder: Path, policy: str, seconds: float) -> dict[int, float]:
    """Return the pace of one run by the number of busy processes beside it."""
    with training(options, folder, policy) as run, ExitStack() as neighbors:
        run.wait_for(WARM)
        found = {}
        for count in NEIGHBORS:
            if count:
                neighbors.enter_context(busy_process())
            found[count] = run.measure(seconds)
            print(f"{policy:6}beside {count}: {found[count]:.2f} it/s", flush=True)
        return found


def repeated(options: Path, seconds: float, repetitions: int) -> dict[str, list[Paces]]:
    """Return the paces of every repetition; the policies alternate in going first."""
    found: dict[str, list[Paces]] = {policy: [] for policy in POLICIES}
    for number in range(repetitions):
        for policy in sorted(POLICIES, reverse=bool(number % 2)):
            with tempfile.TemporaryDirectory() as folder:
                found[policy].append(paces_of(options, Path(folder), policy, seconds))
    return found


def busy_share(found: Mapping[str, Sequence[Paces]]) -> float:
    """Return what sleeping threads keep of the quiet pace beside one busy process: the median of the repetitions."""
    return statistics.median(paces[1] / paces[0] for paces in found["sleep"])


def quiet_ratio(found: Mapping[str, Sequence[Paces]]) -> float:
    """Return the quiet pace with sleeping threads, in units of that with spinning ones."""
    return statistics.median(a[0] / b[0] for a, b in zip(found["sleep"], found["spin"], strict=True))


def table(found: Mapping[str, Sequence[Paces]]) -> str:
    """Return medians, extremes and shares of the quiet pace as a Markdown table, and the targets."""
    head = ["", *(f"beside {count} busy" if count else "alone" for count in NEIGHBORS)]
    rows = [head, ["---"] * len(head), *([NAMES[name], *map(_cell(found[name]), NEIGHBORS)] for name in found)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    targets = [
        f"Beside one busy process {busy_share(found):.0%} of the quiet pace are left (target: at least "
        f"{BUSY_TARGET:.0%}).",
        f"On a quiet machine sleeping threads reach {quiet_ratio(found):.1%} of the pace of spinning ones (target: at "
        f"least {QUIET_TARGET:.0%}).",
    ]
    return "\n".join(
        ["Iterations a second: median (lowest to highest), share of the quiet pace.", "", *lines, "", *targets]
    )


def _cell(runs: Sequence[Paces]) -> Callable[[int], str]:
    def cell(count: int) -> str:
        values = [paces[count] for paces in runs]
        share = statistics.median(paces[count] / paces[0] for paces in runs)
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}), {share:.0%}"

    return cell


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20, help="length of each measurement")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each kind")
    parser.add_argument("--options", type=Path, default=REPOSITORY / "options/2x_paragonsr2.yml")
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="also write the table there")
    args = parser.parse_args()
    found = repeated(args.options.resolve(), args.seconds, args.repetitions)
    threads = os.environ.get("OMP_NUM_THREADS", "as many as cores")
    heading = (
        f"{os.cpu_count()} cores, threads: {threads}, {args.repetitions} runs of each kind, {args.seconds:g} s each."
    )
    text = f"{heading}\n{table(found)}\n"
    print(f"\n{text}", end="")
    if args.output:
        args.output.write_text(text, encoding="utf-8")
    is_met = busy_share(found) >= BUSY_TARGET and quiet_ratio(found) >= QUIET_TARGET
    if not is_met:
        print("target missed", file=sys.stderr)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
