"""`trainner`: finds the command and ends with its exit code."""

import argparse
import platform
import signal
import sys
from collections.abc import Sequence
from importlib import metadata

from traiNNer import __version__
from traiNNer.cli import (
    archs,
    audit,
    bench,
    benchmark,
    cache,
    compare,
    completion,
    convert,
    degrade,
    demo,
    docs,
    doctor,
    estimate,
    explain_run,
    export,
    init,
    options,
    preview,
    report,
    schema,
    sweep,
    test,
    train,
    upscale,
)
from traiNNer.cli.parser import ListFormatter, Parser, add_command
from traiNNer.errors import CannotWrite, RunError
from traiNNer.utils.limits import require_addresses
from traiNNer.utils.printable import printable

COMMANDS = (
    train,
    test,
    sweep,
    upscale,
    export,
    benchmark,
    init,
    options,
    convert,
    audit,
    bench,
    estimate,
    preview,
    degrade,
    cache,
    doctor,
    explain_run,
    report,
    compare,
    demo,
    archs,
    schema,
    completion,
    docs,
)
WITHOUT_TORCH = ("audit", "cache", "compare", "completion", "explain-run", "report")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    args = build_parser().parse_args(arguments)
    try:
        if args.command not in WITHOUT_TORCH:
            require_addresses()
        return args.run(args) or 0
    except RunError as error:
        sys.stderr.write(printable(f"{error}\n"))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 128 + signal.SIGINT
    except OSError as error:
        sys.stderr.write(printable(f"Cannot write {error.filename} ({(error.strerror or '').lower()}).\n"))
        return CannotWrite.exit_code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = Parser(
        "trainner",
        formatter_class=ListFormatter,
        description="Train image upscalers, and everything around it.",
        epilog="example: trainner init --gt photos -o my.yml && trainner train -opt my.yml\n"
        "trainner COMMAND -h explains a command",
    )
    parser.add_argument("--version", action="version", version=versions(), help="print the version, and stop")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        add_command(command, commands)
    return parser


def versions() -> str:
    """Return the versions that a report of a problem needs: ours, torch's and Python's. Imports nothing large."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "not installed"
    return f"traiNNer {__version__} (torch {torch}, Python {platform.python_version()})"


if __name__ == "__main__":
    sys.exit(main())
