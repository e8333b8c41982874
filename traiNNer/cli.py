"""`trainner`, the command for everything that is neither training nor testing."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from traiNNer.errors import RunError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command. Returns the exit code."""
    parser = argparse.ArgumentParser("trainner", description="Helpers around train.py and test.py.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="prepare the demo set from photos that ship with scikit-image")
    demo.add_argument("--root", type=Path, default=Path("datasets/demo"), help="where to put it")
    demo.set_defaults(run=_demo)
    docs = commands.add_parser("docs", help="write docs/options.md and options/options.schema.json from the code")
    docs.add_argument("--root", type=Path, default=Path(), help="the checkout")
    docs.set_defaults(run=_docs)
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _demo(args: argparse.Namespace) -> None:
    from traiNNer.data.demo import prepare_demo

    sys.stdout.write(prepare_demo(args.root) + "\n")


def _docs(args: argparse.Namespace) -> None:
    from traiNNer.app import write_reference

    for path in write_reference(args.root):
        sys.stdout.write(f"written: {path}\n")


if __name__ == "__main__":
    sys.exit(main())
