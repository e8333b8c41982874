"""`trainner estimate`: what was done to low-quality images, and a recipe that does the same.

Exit codes: 0 estimated, 3 the folder cannot be used, 7 the recipe cannot be written.
"""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.errors import ConfigError

EXAMPLE = "trainner estimate --lq frames -o recipe.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "estimate",
        help="estimate how low-quality images were degraded",
        epilog="exit codes: 0 estimated, 2 options, 3 the folder cannot be used, 7 cannot write",
    )
    parser.add_argument("--lq", type=Path, required=True, metavar="DIR", help="the folder of the low-quality images")
    parser.add_argument("--most", type=int, default=200, metavar="N", help="inspect at most N of them; default 200")
    parser.add_argument("-o", type=Path, dest="output", metavar="FILE", help="write the recipe to a file, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the estimates and the recipe. Returns the exit code."""
    from traiNNer.estimate.run import EstimateOptions, run_estimate

    if args.most < 1:
        raise ConfigError("--most must be 1 or more.")
    return run_estimate(EstimateOptions(lq=args.lq, most=args.most, output=args.output))
