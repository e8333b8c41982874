"""`trainner docs`: write the pages that are made from the code."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "trainner docs"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("docs", help="write the option reference and schemas of a checkout")
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the pages and say which."""
    from traiNNer.config.options import TestOptions, TrainOptions
    from traiNNer.config.reference.markdown import options_markdown
    from traiNNer.config.reference.schema import json_schema
    from traiNNer.utils.files import write_bytes_atomic
    from traiNNer.utils.printable import printable

    pages = {
        "docs/options.md": options_markdown(),
        "options/options.schema.json": json.dumps(json_schema(TrainOptions), indent=1) + "\n",
        "options/test/options.schema.json": json.dumps(json_schema(TestOptions), indent=1) + "\n",
    }
    for name, text in pages.items():
        write_bytes_atomic(args.root / name, text.encode())
        sys.stdout.write(printable(f"written: {args.root / name}\n"))
