"""`trainner audit`: check a set of images.

Exit codes: 0 nothing stops training, 3 training would be refused (or the folders cannot be used), 2 options that do not
go together, 7 a file cannot be written.
"""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.errors import ConfigError

EXAMPLE = "trainner audit --gt hr --lq lr --deep --html"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "audit",
        help="check a set of images and report what is wrong with it",
        epilog="exit codes: 0 nothing stops training, 3 training would be refused, 2 options, 7 cannot write",
    )
    parser.add_argument("--gt", type=Path, required=True, metavar="DIR", help="the folder of the HR images")
    parser.add_argument("--lq", type=Path, metavar="DIR", help="the folder of the LR images; without it HR only")
    parser.add_argument("--deep", action="store_true", help="decode: shift, color, kernel, JPEG traces, detail, copies")
    parser.add_argument("--html", type=Path, nargs="?", const=Path(), metavar="FILE", help="write a page of the worst")
    parser.add_argument(
        "--against", type=Path, action="append", default=[], metavar="DIR", help="test images that must not be in it"
    )
    parser.add_argument("--val-gt", type=Path, metavar="DIR", help="validation images that must not be in it")
    parser.add_argument("--fix", choices=("list",), help="write a meta_info list without the problematic images")
    parser.add_argument("-o", type=Path, dest="output", metavar="FILE", help="the list; default meta_info_<folder>.txt")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found and write the files asked for. Returns the exit code."""
    from traiNNer.audit.contact_sheet import sheet_name
    from traiNNer.audit.run import AuditOptions, default_list_name, run_audit

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
