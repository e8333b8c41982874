"""`trainner init`: make the option file for somebody's own folders."""

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

EXAMPLE = "trainner init --gt photos --budget 30m -o my.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "init",
        help="make an option file for your folders by measuring",
        description="Makes an option file from folders of images. Without options it asks four questions.",
    )
    parser.add_argument("--gt", metavar="DIR", help="folder of the large images")
    parser.add_argument(
        "--lq", metavar="DIR", help="folder of the small ones; left out, they are made from the large ones"
    )
    parser.add_argument(
        "--val-gt", metavar="DIR", help="folder of large images to validate with; left out, some are held out"
    )
    parser.add_argument("--val-lq", metavar="DIR", help="the small ones to it")
    parser.add_argument(
        "--meta-info", metavar="FILE", help="list of the images that count, as trainner audit writes one"
    )
    parser.add_argument("--arch", metavar="NAME", help="the network (default: paragonsr2_nano)")
    parser.add_argument(
        "--preset", choices=("convenience", "fidelity"), help="quick to a good network, or patient to the best"
    )
    parser.add_argument("--recipe", choices=("gan",), help="train a second stage against a discriminator; no --budget")
    parser.add_argument(
        "--scale", type=int, help="how many times larger the output is; by default derived from the sizes"
    )
    parser.add_argument("--budget", metavar="TIME", help="what the run may take: 30m, 8h; measuring counts")
    parser.add_argument(
        "--find-lr", action="store_true", help="choose the learning rate by short trials, without a budget too"
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE.yml", help="upgrade this file to --preset")
    parser.add_argument("--fresh", action="store_true", help="measure again, whatever is remembered")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.yml", help="the option file to write (default: my.yml)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Make the file."""
    begun = perf_counter()  # imports are on the budget too
    from traiNNer.zero_config.command import run_init

    run_init(args, begun)
