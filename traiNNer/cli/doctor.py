"""`trainner doctor`: check this machine."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = "trainner doctor --quick"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("doctor", help="check this machine and say how to repair it")
    parser.add_argument("--root", type=Path, default=Path("experiments"), help="the folder of the runs")
    parser.add_argument("--quick", action="store_true", help="do not try compiling, which takes most of the time")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report. Returns the exit code."""
    from traiNNer.doctor.examine import examine

    return examine(args.root, quick=args.quick, as_json=args.json)
