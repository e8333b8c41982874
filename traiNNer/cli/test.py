"""`trainner test`, which `test.py` is too."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traiNNer.cli.option_file import add_option_file, network_of
from traiNNer.cli.parser import Parser

if TYPE_CHECKING:
    from traiNNer.engine.log.logbook import Logbook

ABOUT = "Test a weights file as one option file says."

EXAMPLE = "trainner test -opt options/test/2x_compact.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("test", help="test a weights file as one option file says", description=ABOUT)
    add_option_file(parser)
    parser.set_defaults(run=run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `test.py`. Returns the exit code."""
    parser = Parser("test.py", description=ABOUT)
    add_option_file(parser)
    return run(parser.parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    """Test. Returns the exit code."""
    from traiNNer.cli.guard import run_guarded

    return run_guarded(lambda book: _test(args, book), args.quiet, args.verbose)


def _test(args: argparse.Namespace, book: "Logbook") -> str:
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TestOptions

    loaded = load_options(args.opt, TestOptions, args.set, network_of)
    if args.verbose:
        book.info(loaded.effective())

    from traiNNer.run.test import test  # only now: it imports torch, and a file with mistakes need not wait for that

    return test(loaded, book, check=args.check)
