"""`trainner`, the command for everything that is neither training nor testing."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traiNNer.errors import CannotWrite, ConfigError, RunError
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
    _add_audit(commands)
    add_init(commands)
    doctor = commands.add_parser("doctor", help="look at this machine and say what is wrong with it, and the cure")
    doctor.add_argument("--root", type=Path, default=Path("experiments"), help="the folder of the runs")
    doctor.add_argument("--quick", action="store_true", help="do not try compiling, which takes most of the time")
    doctor.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor.set_defaults(run=_doctor)
    args = parser.parse_args(arguments)
    try:
        return args.run(args) or 0
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 128 + signal.SIGINT
    except OSError as error:
        sys.stderr.write(f"Cannot write {error.filename} ({(error.strerror or '').lower()}).\n")
        return CannotWrite.exit_code


def _add_audit(commands: Any) -> None:
    audit = commands.add_parser(
        "audit",
        help="look at a set of images and say what is wrong with it",
        epilog="exit codes: 0 nothing stops training, 3 training would be refused, 2 options, 7 cannot write",
    )
    audit.add_argument("--gt", type=Path, required=True, metavar="DIR", help="the folder of the HR images")
    audit.add_argument("--lq", type=Path, metavar="DIR", help="the folder of the LR images; without it HR only")
    audit.add_argument("--deep", action="store_true", help="decode: shift, colour, kernel, JPEG traces, detail, copies")
    audit.add_argument("--html", type=Path, nargs="?", const=Path(), metavar="FILE", help="write a page of the worst")
    audit.add_argument(
        "--against", type=Path, action="append", default=[], metavar="DIR", help="test images that must not be in it"
    )
    audit.add_argument("--val-gt", type=Path, metavar="DIR", help="validation images that must not be in it")
    audit.add_argument("--fix", choices=("list",), help="write a meta_info list without the problematic images")
    audit.add_argument("-o", type=Path, dest="output", metavar="FILE", help="the list; default meta_info_<folder>.txt")
    audit.set_defaults(run=_audit)


def _audit(args: argparse.Namespace) -> int:
    from traiNNer.audit_command import AuditOptions, default_list_name, run_audit
    from traiNNer.report.contact_sheet import sheet_name

    if args.output and not args.fix:
        raise ConfigError("-o names the list that --fix list writes: add --fix list.")
    return run_audit(
        AuditOptions(
            gt=args.gt,
            lq=args.lq,
            deep=args.deep,
            against=tuple(args.against),
            val_gt=args.val_gt,
            html=Path(sheet_name(args.gt)) if args.html == Path() else args.html,
            list_file=(args.output or Path(default_list_name(args.gt))) if args.fix else None,
        )
    )


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


def _doctor(args: argparse.Namespace) -> int:
    from traiNNer.report.doctor import examine

    return examine(args.root, quick=args.quick, as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
