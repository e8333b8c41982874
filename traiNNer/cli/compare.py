"""`trainner compare`: runs against each other."""

import argparse
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "trainner compare run_a run_b --html compare.html"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "compare",
        help="compare runs: options, scores, and differences image by image",
        description="Runs that differ in manual_seed only count as one, with mean and standard deviation.",
        epilog="exit codes: 0 compared, 2 no such run or plotly is missing, 7 cannot write",
    )
    parser.add_argument(
        "names", metavar="RUN", nargs="+", help="names or folders of the runs; the first is the reference"
    )
    parser.add_argument("--root", type=Path, default=Path("experiments"), help="the folder of the runs")
    parser.add_argument("--latex", action="store_true", help="print LaTeX instead of Markdown")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the curves over each other")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the tables of a comparison and write the page that was asked for."""
    from traiNNer.errors import ConfigError
    from traiNNer.report.compare import grouped, sheets
    from traiNNer.report.formats import fitted, latex
    from traiNNer.report.record import find_run, read_record
    from traiNNer.utils.files import write_bytes_atomic
    from traiNNer.utils.printable import printable
    from traiNNer.utils.rows import terminal_width

    if len(args.names) < 2:
        raise ConfigError("compare needs two runs or more.")
    if args.seed < 0:
        raise ConfigError("--seed must be 0 or more.")
    groups = grouped([read_record(find_run(args.root, name)) for name in args.names])
    found = sheets(groups, args.seed)
    sys.stdout.write(printable(latex(found) if args.latex else fitted(found, terminal_width())))
    if args.html:
        from traiNNer.report.overlay import comparison_page

        write_bytes_atomic(args.html, comparison_page(groups, found).encode("utf-8", "replace"))
