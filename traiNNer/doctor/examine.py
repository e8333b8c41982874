"""`trainner doctor`: checks this machine, tries what a run needs, and reports what is wrong and what to do."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from traiNNer.doctor.finding import Finding
from traiNNer.doctor.machine import Facts, machine_facts
from traiNNer.doctor.probes import try_out
from traiNNer.doctor.verdicts import judge, overall
from traiNNer.errors import UNFIT_MACHINE
from traiNNer.utils.console import PlainConsole
from traiNNer.utils.printable import printable

COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}
FORMAT = 1
"""Version of the JSON report; it changes when a key changes its meaning or goes away."""


def examine(folder: Path, quick: bool = False, as_json: bool = False) -> int:
    """Print the report to stdout and what is being done to stderr.

    Args:
        folder: where the runs would be.
        quick: leave out compiling.
        as_json: print JSON instead of a table.

    Returns:
        The exit code: 0, or 9 where training is impossible.
    """
    start = time.perf_counter()
    _tell("looking at the machine")
    facts = try_out(machine_facts(folder), quick, _tell)
    findings = judge(facts)
    if as_json:
        report = as_tree(facts, findings, time.perf_counter() - start)
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    else:
        width = None if sys.stdout.isatty() else 120
        console = PlainConsole(width=width)
        console.print(_table(findings), Text(overall(facts, findings)), sep="\n")
    return 0 if can_train(findings) else UNFIT_MACHINE


def can_train(findings: Sequence[Finding]) -> bool:
    """Whether nothing was found that makes training impossible."""
    return all(finding.status != "problem" for finding in findings)


def as_tree(facts: Facts, findings: Sequence[Finding], seconds: float) -> dict[str, Any]:
    """Return the report as a tree of plain values; sizes are in bytes, times in seconds."""
    return {
        "format": FORMAT,
        "can_train": can_train(findings),
        "overall": overall(facts, findings),
        "seconds": round(seconds, 1),
        "findings": [asdict(finding) for finding in findings],
        "facts": asdict(facts),
    }


def _tell(text: str) -> None:
    sys.stderr.write(printable(f"… {text}\n"))
    sys.stderr.flush()


def _table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        lines = [finding.found, finding.meaning, f"-> {finding.fix}" if finding.fix else ""]
        text = "\n".join(line for line in lines if line)
        table.add_row(Text(finding.status, COLOURS[finding.status]), Text(finding.check), Text(printable(text)))
    return table
