"""Everything that a CUDA device has to answer, within eight minutes, in one report.

    python -m benchmarks.gpu [--out FOLDER] [--seconds 480]

Runs the `gpu` tests and measures the speed of a training step in every precision and layout, the most important part
first, each with its own limit of time. `gpu_report.md` and `gpu_report.json` are written anew after every part, so that
what was found is there whenever the machine is taken away. The exit code is 1 when a test failed or a part found
nothing. `--device cpu` tries the command itself out: the same parts on the CPU, with a tiny network.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
TAIL = 1500


@dataclass(frozen=True)
class Part:
    """A step of the report: its title, what is run, and the most seconds that it may take."""

    title: str
    command: list[str]
    seconds: float


@dataclass
class Found:
    """What a part found: a row for each test or arm, and how it ended."""

    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    ended: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it found something, and nothing failed."""
        return bool(self.rows) and not self.ended and not any(row["failed"] for row in self.rows)


def parts_for(device: str) -> list[Part]:
    """Return the parts, the most important first; together they take eight minutes at most."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    speed = [sys.executable, "-m", "benchmarks.gpu.speed"]
    if device == "cpu":
        tests = [*pytest, "-k", "rewind or algorithms", "tests/gpu/test_device.py"]
        arms = ["--device", "cpu", "--batch", "2", "--side", "8", "--steps", "1", "--arms", "float32", "bf16"]
        return [Part("tests", tests, 300), Part("speed of tiny", [*speed, "tiny", *arms], 200)]
    tests = [*pytest, "-m", "gpu"]
    return [
        Part("tests of memory", [*tests, "tests/gpu/test_memory.py"], 75),
        Part("tests of the device", [*tests, "tests/gpu/test_device.py"], 45),
        Part("tests of scores", [*tests, "tests/gpu/test_scores.py"], 10),
        Part("tests of degradations", [*tests, "tests/gpu/test_degradations.py"], 30),
        Part("tests of precision", [*tests, "tests/gpu/test_precision.py"], 120),
        Part("speed of nano", [*speed, "nano"], 110),
        Part("speed of compact", [*speed, "compact"], 90),
    ]


def run(part: Part, limit_s: float) -> Found:
    """Run a part and return its rows, also of one that was ended at its limit."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report, log = Path(folder) / "report.xml", Path(folder) / "log.txt"
        is_tests = "pytest" in part.command
        command = [*part.command, f"--junitxml={report}", "-v"] if is_tests else part.command
        ended = _finish(command, log, min(part.seconds, limit_s))
        output = log.read_text(encoding="utf-8", errors="replace")
        rows = (tests_in(report) or lines_in(output)) if is_tests else speeds_in(output)
        if ended or not rows:
            ended = f"{ended or 'no result'}: {output[-TAIL:].strip()}"
    return Found(part.title, rows, time.monotonic() - started, ended)


def _finish(command: list[str], log: Path, limit_s: float) -> str:
    """Run a command to its end or its limit; return why it was ended."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # compilers run in processes of their own
            process.wait()
            return f"ended after {limit_s:.0f} s"
    return ""


def tests_in(report: Path) -> list[dict[str, Any]]:
    """Return a row for every test of a JUnit file; none where there is no file."""
    if not report.exists():
        return []
    rows = []
    for case in ET.parse(report).getroot().iter("testcase"):
        faults = [child for child in case if child.tag in ("failure", "error")]
        skipped = [child.get("message", "") for child in case if child.tag == "skipped"]
        failed = "\n".join((fault.text or fault.get("message") or "failed")[-TAIL:] for fault in faults)
        seconds = float(case.get("time") or 0)
        rows.append({"name": case.get("name"), "seconds": seconds, "failed": failed, "skipped": "".join(skipped)})
    return rows


def lines_in(output: str) -> list[dict[str, Any]]:
    """Return a row for every test that pytest had named before it was ended."""
    ends = ("PASSED", "FAILED", "ERROR")
    named = [line.split()[:2] for line in output.splitlines() if len(line.split()) > 1 and line.split()[1] in ends]
    return [
        {"name": name.split("::")[-1], "seconds": 0.0, "failed": "" if end == "PASSED" else end, "skipped": ""}
        for name, end in named
    ]


def speeds_in(output: str) -> list[dict[str, Any]]:
    """Return a row for every arm that was measured, with its gain over float32."""
    rows = [json.loads(line) for line in output.splitlines() if line.startswith('{"network"') and line.endswith("}")]
    plain = next((row for row in rows if row["arm"] == "float32" and not row["failed"]), None)
    for row in rows:
        is_known = plain is not None and not row["failed"]
        row["gain"] = plain["ms"] / row["ms"] if plain and is_known else None
        row["difference"] = abs(row["loss"] / plain["loss"] - 1) if plain and is_known else None
    return rows


def markdown(found: list[Found], about: str) -> str:
    """Return the report."""
    lines = ["# What the device answered", "", about]
    for one in found:
        failed = sum(bool(row["failed"]) for row in one.rows)
        lines += ["", f"## {one.title}", "", f"{len(one.rows)} rows, {failed} failed, {one.seconds:.0f} s", ""]
        lines += _speeds(one.rows) if one.rows and "arm" in one.rows[0] else _tests(one.rows)
        lines += ["", "```", one.ended, "```"] if one.ended else []
    return "\n".join(lines) + "\n"


def _tests(rows: list[dict[str, Any]]) -> list[str]:
    states = [(row, "FAILED" if row["failed"] else "skipped" if row["skipped"] else "passed") for row in rows]
    table = [f"| {row['name']} | {state} | {row['seconds']:.1f} |" for row, state in states]
    texts = [f"\n`{row['name']}`\n\n```\n{row['failed']}\n```" for row in rows if row["failed"]]
    return ["| test | result | s |", "|---|---|---|", *table, *texts]


def _speeds(rows: list[dict[str, Any]]) -> list[str]:
    head = "| settings | ms a step | times as fast | peak, GiB | first step, s | loss differs by |"
    lines = [head, "|---|---|---|---|---|---|"]
    for row in rows:
        if row["failed"]:
            lines.append(f"| {row['arm']} | {row['failed'].splitlines()[0]} |  |  |  |  |")
            continue
        gain, difference = (f"{value:.3g}" if value is not None else "" for value in (row["gain"], row["difference"]))
        peak = f"{row['peak'] / 2**30:.2f}"
        lines.append(f"| {row['arm']} | {row['ms']:.2f} | {gain} | {peak} | {row['first_s']:.1f} | {difference} |")
    return lines


def write(folder: Path, found: list[Found], about: str) -> None:
    """Write both forms of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu_report.md").write_text(markdown(found, about), encoding="utf-8")
    plain = {"about": about, "parts": [asdict(one) for one in found]}
    (folder / "gpu_report.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the report")
    parser.add_argument("--seconds", type=float, default=480, help="limit of all parts together")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.stdout.write("needs a CUDA device\n")
        return 2
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    about = f"{name}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}; batch 8, LQ 64x64, 2x, AdamW, EMA."
    started, found = time.monotonic(), []
    for part in parts_for(args.device):
        left = args.seconds - (time.monotonic() - started)
        found.append(run(part, left) if left > 1 else Found(part.title, ended="no time was left"))
        write(args.out, found, about)
        sys.stdout.write(f"{part.title}: {len(found[-1].rows)} rows, {found[-1].seconds:.0f} s\n")
        sys.stdout.flush()
    return int(not all(one.is_good for one in found))


if __name__ == "__main__":
    sys.exit(main())
