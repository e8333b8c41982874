"""`trainner`, the command for everything that is neither training nor testing."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from traiNNer.errors import CannotWrite, RunError
from traiNNer.zero_config.arguments import add_init


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
    explain = commands.add_parser("explain-run", help="show what the training automations did in a run, and why")
    explain.add_argument("name", metavar="NAME", help="name of the run")
    explain.add_argument("--root", type=Path, default=Path("experiments"), help="the folder of the runs")
    explain.set_defaults(run=_explain_run)
    add_init(commands)
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"Cannot write {error.filename} ({(error.strerror or '').lower()}).\n")
        return CannotWrite.exit_code
    return 0


def _demo(args: argparse.Namespace) -> None:
    from traiNNer.data.demo import prepare_demo

    sys.stdout.write(prepare_demo(args.root) + "\n")


def _docs(args: argparse.Namespace) -> None:
    import json

    import traiNNer.build  # noqa: F401 - registers every component
    from traiNNer.config.describe import options_markdown
    from traiNNer.config.options import TestOptions, TrainOptions
    from traiNNer.config.schema import json_schema
    from traiNNer.utils.files import write_bytes_atomic

    pages = {
        "docs/options.md": options_markdown(),
        "options/options.schema.json": json.dumps(json_schema(TrainOptions), indent=1) + "\n",
        "options/test/options.schema.json": json.dumps(json_schema(TestOptions), indent=1) + "\n",
    }
    for name, text in pages.items():
        write_bytes_atomic(args.root / name, text.encode())
        sys.stdout.write(f"written: {args.root / name}\n")


def _explain_run(args: argparse.Namespace) -> None:
    from rich.console import Console

    from traiNNer.report.decisions import explain_run

    # Read by a program or kept in a file, lines are not folded to the width of a screen.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, highlight=False, emoji=False).print(explain_run(args.root, args.name))


if __name__ == "__main__":
    sys.exit(main())
