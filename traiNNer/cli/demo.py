"""`trainner demo`: prepare photos and option files to try things with."""

import argparse
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "trainner demo && trainner train -opt options/2x_compact.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="prepare photos and option files to try things with",
        description="Writes seven photos that ship with traiNNer, and its option files where they are missing.",
    )
    parser.add_argument("--root", type=Path, default=Path("datasets/demo"), help="where to put the photos")
    parser.add_argument("--options", type=Path, default=Path("options"), help="where to put the option files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Prepare both, and say where they are and what to do next."""
    from traiNNer.data.demo import prepare_demo
    from traiNNer.utils.commands import train_command
    from traiNNer.utils.printable import printable
    from traiNNer.utils.shipped import copy_options

    lines = [prepare_demo(args.root)]
    if written := copy_options(args.options):
        lines.append(f"Option files: {len(written)}, in {args.options}")
    lines.append(f"Next: {train_command(args.options / '2x_compact.yml')}")
    sys.stdout.write(printable("\n".join(lines) + "\n"))
