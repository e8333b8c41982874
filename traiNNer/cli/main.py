"""`trainner`: finds the command and ends with its exit code."""

import argparse
import signal
import sys
from collections.abc import Sequence

from traiNNer.cli import (
    archs,
    audit,
    compare,
    convert,
    degrade,
    demo,
    docs,
    doctor,
    estimate,
    explain_run,
    init,
    options,
    preview,
    report,
    test,
    train,
)
from traiNNer.errors import CannotWrite, RunError
from traiNNer.utils.printable import printable

COMMANDS = (
    train,
    test,
    init,
    options,
    convert,
    audit,
    estimate,
    preview,
    degrade,
    doctor,
    explain_run,
    report,
    compare,
    demo,
    archs,
    docs,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    parser = argparse.ArgumentParser("trainner", description="Train image upscalers, and everything around it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    args = parser.parse_args(arguments)
    try:
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


if __name__ == "__main__":
    sys.exit(main())
