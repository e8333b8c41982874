"""`trainner demo`: prepare a set to try things with."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("demo", help="prepare the demo set from photos that ship with scikit-image")
    parser.add_argument("--root", type=Path, default=Path("datasets/demo"), help="where to put it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Prepare the set and say where it is."""
    from traiNNer.data.demo import prepare_demo
    from traiNNer.utils.printable import printable

    sys.stdout.write(printable(prepare_demo(args.root) + "\n"))
