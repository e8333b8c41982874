"""`trainner degrade`: write the LQ images of a fixed set.

Exit codes: 0, 2 options that cannot be used, 3 data that cannot be used, 7 a file cannot be written.
"""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.cli.option_file import network_of
from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable

EXAMPLE = "trainner degrade -opt my.yml -i hr -o lr"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "degrade",
        help="write what the degradations of an option file make of a folder",
        description="Write LQ images of a folder as PNG, once and for all. An image gets the same at every call.",
        epilog="exit codes: 0, 2 options, 3 data, 7 cannot write",
    )
    parser.add_argument("-opt", "--opt", type=Path, required=True, metavar="FILE.yml", help="the option file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("-i", type=Path, dest="source", required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("-o", type=Path, dest="output", required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--of", default="train", metavar="NAME", help="the section of datasets; train")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the images. Returns the exit code."""
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions
    from traiNNer.run.preview import degrade_folder

    options = load_options(args.opt, TrainOptions, args.set, network_of).options
    if args.of not in options.datasets:
        raise ConfigError(f"--of {args.of}: the file has the sets {', '.join(options.datasets)}.")
    count = degrade_folder(options, args.of, args.source, args.output)
    print(printable(f"written: {count} image{'s' * (count != 1)} to {args.output}"))
    return 0
