"""The arguments of `trainner init`, apart from its work: reading a command line must not import torch."""

import argparse
from pathlib import Path
from typing import Any


def add_init(commands: Any) -> None:
    """Add the sub-command to the command line."""
    init = commands.add_parser(
        "init",
        help="make the option file for your own folders, decided by measuring them and this machine",
        description="Makes an option file from folders of images. Without options it asks four questions.",
    )
    init.add_argument("--gt", metavar="DIR", help="folder of the large images")
    init.add_argument(
        "--lq", metavar="DIR", help="folder of the small ones; left out, they are made from the large ones"
    )
    init.add_argument(
        "--val-gt", metavar="DIR", help="folder of large images to validate with; left out, some are held out"
    )
    init.add_argument("--val-lq", metavar="DIR", help="the small ones to it")
    init.add_argument("--meta-info", metavar="FILE", help="list of the images that count, as trainner audit writes one")
    init.add_argument("--arch", metavar="NAME", help="the network (default: paragonsr2_nano)")
    init.add_argument(
        "--preset", choices=("convenience", "fidelity"), help="quick to a good network, or patient to the best"
    )
    init.add_argument("--scale", type=int, help="how many times larger the output is; by default the sizes tell")
    init.add_argument("--budget", metavar="TIME", help="what the run may take: 30m, 8h; measuring counts")
    init.add_argument(
        "--find-lr", action="store_true", help="choose the learning rate by short trials, without a budget too"
    )
    init.add_argument("--from", dest="source", type=Path, metavar="FILE.yml", help="upgrade this file to --preset")
    init.add_argument("--fresh", action="store_true", help="measure again, whatever is remembered")
    init.add_argument("--overwrite", action="store_true", help="replace the output file")
    init.add_argument(
        "-o", "--output", type=Path, metavar="FILE.yml", help="the option file to write (default: my.yml)"
    )
    init.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from traiNNer.zero_config.command import run_init

    run_init(args)
