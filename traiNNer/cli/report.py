"""`trainner report`: a page of a run, with everything in one file."""

import argparse
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "trainner report 2x_compact"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "report",
        help="write a page about a run: curves, decisions, images",
        epilog="exit codes: 0 written, 2 no such run or plotly is missing, 7 cannot write",
    )
    parser.add_argument("name", metavar="RUN", help="name or folder of the run, finished or not")
    parser.add_argument("--root", type=Path, default=Path("experiments"), help="the folder of the runs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the page and say where it is."""
    from traiNNer.report.page import write_report
    from traiNNer.report.record import find_run
    from traiNNer.utils.printable import printable

    sys.stdout.write(printable(f"{write_report(find_run(args.root, args.name))}\n"))
