"""Everything about speed that the CPU can answer, in one page.

    python -m benchmarks.performance [-o docs/performance.md] [--quick] [--only start.py]

Runs the other scripts one after the other, each with one thread, and writes what they print with machine, versions and
date; figures of another framework (benchmarks/data/peers.json) stand beside those that answer the same question. Run it
on a quiet machine: it takes about half an hour, and most of its figures compare two sides that alternate.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scaling import about

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
PEERS = FOLDER / "data/peers.json"
PROGRESS = re.compile(
    r"^(\x1b\[|\d[\d,]*/[\d,]+ )|^(iter|validation|Warning:|Report:|Weights |Next:|best |Best )"
    r"|^(datasets/|Demo set:|Device:|Decoded images|finished:|\S+ \dx: )"
)
"""Lines of a run inside a script; what it found comes after them."""


@dataclass(frozen=True)
class Part:
    """A script, the question it answers, and what it is called with; `quick` is its smallest form."""

    script: str
    question: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--quick",)


PARTS = (
    Part("start.py", "How long does a start take?", ("--runs", "5"), ("--runs", "1", "--images", "8", "--no-check")),
    Part("data_path.py", "What does a training sample cost?"),
    Part("train_step.py", "What does a training step cost?", (), ("--rounds", "1", "--steps", "1", "--lq-size", "8")),
    Part("bookkeeping.py", "What comes on top of the step?", ("--iterations", "300"), ("--iterations", "2")),
    Part("checkpointing.py", "What does use_checkpointing save?"),
    Part("validation.py", "What do the metrics of a validation cost?"),
)


def run(part: Part, quick: bool, folder: Path) -> tuple[str, float]:
    """Run a script with one thread. Returns what it printed, and the seconds that it took."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, str(FOLDER / part.script), *(part.quick if quick else part.full)]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:  # 1: a target is missed, which it says
        sys.exit(f"{part.script} failed:\n{done.stdout}{done.stderr}")
    return done.stdout, time.perf_counter() - started


def section(part: Part, printed: str, quick: bool) -> list[str]:
    """Return the lines of a part: its question, its command, what it found, and the other framework's figures."""
    given = " ".join((f"benchmarks/{part.script}", *(part.quick if quick else part.full)))
    found = [line.rstrip() for line in printed.splitlines() if not PROGRESS.match(line)]
    is_table = any(line.startswith("|---") for line in found)
    shown = found if is_table else ["```text", *found, "```"]
    peers = [one for one in json.loads(PEERS.read_text(encoding="utf-8"))["figures"] if one["script"] == part.script]
    rows = [f"| {one['what']} | {one['figure']} |" for one in peers]
    beside = ["", "| traiNNer-redux | |", "|---|---|", *rows] if rows else []
    return [f"## {part.question}", "", f"`python {given}`:", "", *shown, *beside, ""]


def page(sections: list[list[str]], left_out: list[str], seconds: float) -> str:
    """Return the whole page."""
    origin = json.loads(PEERS.read_text(encoding="utf-8"))["about"]
    head = [
        "# Performance",
        "",
        "Written by `python -m benchmarks.performance -o docs/performance.md`, never by hand. Every script can be run",
        "alone; what a script calls a target is ours, missed ones included. For your own run: `trainner bench -opt",
        "my.yml`; for several devices: [scaling.md](scaling.md).",
        "",
        f"{about()} It took {seconds / 60:.0f} minutes.",
        "",
        f"Figures of another framework: {origin}",
        "",
    ]
    missing = [f"Left out: {', '.join(left_out)}.", ""] if left_out else []
    return "\n".join(head + missing + [line for lines in sections for line in lines]).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("-o", type=Path, dest="output", help="the page; by default it is printed")
    parser.add_argument("--quick", action="store_true", help="every script in its smallest form: only shows it works")
    parser.add_argument("--only", nargs="+", default=[part.script for part in PARTS], help="scripts to run")
    args = parser.parse_args()
    started, sections = time.perf_counter(), []
    wanted = [part for part in PARTS if part.script in args.only and (FOLDER / part.script).exists()]
    for part in wanted:
        with tempfile.TemporaryDirectory() as folder:
            printed, seconds = run(part, args.quick, Path(folder))
        sys.stderr.write(f"{part.script}: {seconds:.0f} s\n")
        sections.append(section(part, printed, args.quick))
    left_out = [part.script for part in PARTS if part not in wanted]
    text = page(sections, left_out, time.perf_counter() - started)
    if args.output:
        args.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
