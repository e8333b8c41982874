"""`trainner bench`: where the time of the user's own run goes, and what to change first.

Exit codes: 0, 2 options that cannot be used, 3 data that cannot be used.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from traiNNer.cli.option_file import network_of
from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable

EXAMPLE = "trainner bench -opt my.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "bench",
        help="measure where the time of a run goes",
        description="Train a run for some seconds on this machine and show where its time goes: data, forward, "
        "backward, update, validation. Nothing is written.",
        epilog="exit codes: 0, 2 options, 3 data",
    )
    parser.add_argument("-opt", "--opt", type=Path, required=True, metavar="FILE.yml", help="the option file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long to train; 10")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print. Returns the exit code."""
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions

    if not 0 < args.seconds <= 3600:
        raise ConfigError(f"--seconds {args.seconds:g}: from above 0 to 3600 can be measured.")
    options = load_options(args.opt, TrainOptions, args.set, network_of).options

    from traiNNer.engine.log.logbook import Logbook
    from traiNNer.measuring.advice import advice, table
    from traiNNer.measuring.breakdown import measure
    from traiNNer.run.build import prepare_demo_if_named
    from traiNNer.run.sets import open_sets

    book = Logbook(quiet=args.json)
    prepare_demo_if_named(options, book)
    sets = open_sets(options, book)
    if isinstance(options.num_gpu, int) and options.num_gpu > 1:
        book.info(f"One of the {options.num_gpu} processes is measured, without what they tell each other.")
        options = options.model_copy(update={"num_gpu": "auto"})
    found = measure(options, sets, args.seconds)
    if args.json:
        figures = {
            "ms": {part: seconds * 1000 for part, seconds in found.parts.items()},
            "gflop": found.flops / 1e9,
            "gflop_per_s": found.limits.flops / 1e9,
            "gb_per_s": found.limits.bandwidth / 1e9,
            "achieved": found.achieved,
            "images": found.images,
        }
        print(json.dumps(figures))
        return 0
    for line in (found.about, *table(found), advice(found, options)):
        print(printable(line))
    return 0
