"""`trainner convert`: make an option file of another framework's training file."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = "trainner convert their.toml -o my.yml"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "convert",
        help="make an option file of one of neosr, BasicSR or redux",
        description="Writes an option file and reports every key that was renamed, translated or left out.",
        epilog="exit codes: 0 the file loads, 2 something has to be corrected by hand, 7 cannot write",
    )
    parser.add_argument("source", type=Path, metavar="FILE", help="the training file: .toml, .yml or .yaml")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yml", help="the file to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the file, and print the report."""
    from traiNNer.errors import ConfigError
    from traiNNer.recipes.convert import convert
    from traiNNer.utils.printable import printable
    from traiNNer.utils.shipped import schema_line
    from traiNNer.zero_config.output import require_free, write

    require_free(args.output, args.overwrite)
    made = convert(args.source)
    write(args.output, f"{schema_line(args.output)}\n{made.text(args.source.name)}")
    parts = {
        "Changed": made.changes,
        "Left out": made.left_out,
        "Kept, but used in another way than written": made.notices,
        "--check will say": made.warnings,
    }
    for title, lines in parts.items():
        if lines:
            print(printable(f"{title}:\n" + "\n".join(f"  {line}" for line in lines)))
    print(printable(f"Written: {args.output}."))
    if made.problems:
        raise ConfigError(str(args.output), made.problems)
    print(printable(f"Check it with the images: trainner train -opt {args.output} --check"))
