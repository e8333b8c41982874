"""`trainner options`: write a short option file for a network and a purpose."""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable

EXAMPLE = "trainner options --arch compact --recipe gan -o my.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "options",
        help="write a short option file for a network and a purpose",
        description="Writes a short option file to edit. `trainner init` makes one by measuring instead.",
    )
    parser.add_argument("--arch", required=True, metavar="NAME", help="the network")
    parser.add_argument("--recipe", required=True, metavar="NAME", help="fidelity, finetune, gan, realworld, or video")
    parser.add_argument("--scale", type=int, help="how many times larger the output is (default: 2, if it can)")
    parser.add_argument("--gt", metavar="DIR", help="folder of the large images")
    parser.add_argument("--lq", metavar="DIR", help="folder of the small ones")
    parser.add_argument("--val-gt", metavar="DIR", help="folder of large images to validate with")
    parser.add_argument("--val-lq", metavar="DIR", help="the small ones to it")
    parser.add_argument("--weights", metavar="FILE", help="what finetune begins with")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yml", help="the file to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the file."""
    from traiNNer.recipes.recipe import Places, write_recipe
    from traiNNer.utils.shipped import schema_line
    from traiNNer.zero_config.output import require_free, write

    require_free(args.output, args.overwrite)
    if args.weights is not None and args.recipe != "finetune":
        raise ConfigError("--weights: only the recipe finetune begins with weights")
    given = {key: getattr(args, key) for key in ("gt", "lq", "val_gt", "val_lq", "weights")}
    places = Places(**{key: value for key, value in given.items() if value is not None})
    text = write_recipe(args.arch, args.recipe, args.scale, places)
    write(args.output, f"{schema_line(args.output)}\n{text}")
    print(printable(f"Written: {args.output}. Check it with: trainner train -opt {args.output} --check"))
