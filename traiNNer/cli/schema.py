"""`trainner schema`: write the JSON schema that editors complete and check option files with."""

import argparse
import json
from pathlib import Path
from typing import Any

EXAMPLE = "trainner schema --plugins my_loss.py -o my.schema.json"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "schema",
        help="write the schema for editors, your plugins included",
        description="Writes a JSON schema of option files. Name it in the first line of a file: "
        "# yaml-language-server: $schema=FILE.json",
    )
    parser.add_argument("--plugins", nargs="+", default=[], type=Path, metavar="FILE.py", help="as in `plugins`")
    parser.add_argument("--test", action="store_true", help="of files for `trainner test`")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("options.schema.json"), metavar="FILE", help="options.schema.json"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Import the plugins, which registers their components, and write the schema."""
    from traiNNer.config.options import TestOptions, TrainOptions
    from traiNNer.config.plugins import import_plugins
    from traiNNer.config.reference.schema import json_schema
    from traiNNer.config.tree import Report, node_of
    from traiNNer.errors import ConfigError
    from traiNNer.utils.files import write_bytes_atomic
    from traiNNer.utils.printable import printable

    report = Report()
    import_plugins(node_of({"plugins": [str(path) for path in args.plugins]}), Path(), report)
    if report.problems:
        raise ConfigError("--plugins", report.sorted())
    text = json.dumps(json_schema(TestOptions if args.test else TrainOptions), indent=1) + "\n"
    write_bytes_atomic(args.output, text.encode())
    print(printable(f"written: {args.output}"))
