"""`trainner sweep`: several runs of one option file with other values, and their comparison.

Exit codes: those of `trainner train`; 5 where every run failed.
"""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.cli.option_file import network_of

EXAMPLE = "trainner sweep -opt my.yml train.optim_g.lr=1e-3,2e-3"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "sweep",
        help="train with several values and seeds, and compare",
        description=(
            "Train every combination of the values, each with every seed, as ordinary runs in one folder; the same "
            "command continues a sweep that was stopped. With --trials, optuna chooses the values."
        ),
        epilog="exit codes: those of train; 5 every run failed",
    )
    parser.add_argument("-opt", "--opt", type=Path, required=True, metavar="FILE.yml", help="the option file")
    parser.add_argument(
        "axes", nargs="*", metavar="KEY=A,B", help="values to try; with --trials also KEY=LOW..HIGH (1e-4..1e-2)"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of every combination (default 1)")
    parser.add_argument("--trials", type=int, metavar="N", help="combinations to search for with optuna")
    parser.add_argument("--name", metavar="NAME", help="of the sweep's folder; default: the file's name and _sweep")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key in every run")
    parser.add_argument("--check", action="store_true", help="check the options of every run, and stop")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Sweep. Returns the exit code."""
    from traiNNer.cli.guard import run_guarded
    from traiNNer.sweep.command import Request, run_sweep

    request = Request(args.opt, args.axes, args.seeds, args.trials, args.name, args.set, args.check, network_of)
    return run_guarded(lambda book: run_sweep(request, book))
