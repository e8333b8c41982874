"""`trainner explain-run`: what the training automations did in a run, and why."""

import argparse
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "trainner explain-run 2x_compact"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("explain-run", help="show what the training automations did in a run, and why")
    parser.add_argument("name", metavar="NAME", help="name of the run")
    parser.add_argument("--root", type=Path, default=Path("experiments"), help="the folder of the runs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the decisions of a run."""
    from traiNNer.report.decisions import explain_run
    from traiNNer.utils.console import PlainConsole

    # Read by a program or kept in a file, lines are not folded to the width of a screen.
    width = None if sys.stdout.isatty() else 200
    PlainConsole(width=width).print(explain_run(args.root, args.name))
