"""`trainner preview`: show what a network will be trained with.

Exit codes: 0, 2 options that cannot be used, 3 data that cannot be used, 7 a file cannot be written.
"""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.cli.option_file import network_of
from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable

EXAMPLE = "trainner preview -opt my.yml -n 16"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "preview",
        help="write a contact sheet of the first training crops",
        description="Write a contact sheet (PNG and HTML) of the first crops of a run, as the network will see them: "
        "HR, LQ, and beneath each what its degradations drew.",
        epilog="exit codes: 0, 2 options, 3 data, 7 cannot write",
    )
    parser.add_argument("-opt", "--opt", type=Path, required=True, metavar="FILE.yml", help="the option file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("-n", "--count", type=int, default=32, metavar="N", help="crops, 1 to 1000; 32")
    parser.add_argument("-o", type=Path, dest="output", default=Path(), metavar="DIR", help="folder of both files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the two files. Returns the exit code."""
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions
    from traiNNer.engine.log.logbook import Logbook
    from traiNNer.run.preview import preview

    if not 1 <= args.count <= 1000:
        raise ConfigError(f"-n {args.count}: from 1 to 1000 crops can be shown.")
    loaded = load_options(args.opt, TrainOptions, args.set, network_of)
    for file in preview(loaded.options, Logbook(), args.count, args.output):
        print(printable(f"written: {file}"))
    return 0
