"""The arguments that `train` and `test` share."""

import argparse
from pathlib import Path
from typing import Any


def add_option_file(parser: argparse.ArgumentParser) -> None:
    """Add the option file, overrides of single keys, and the check that runs nothing."""
    parser.add_argument("-opt", "--opt", type=Path, required=True, metavar="FILE.yml", help="the option file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, e.g. train.total_iter=200"
    )
    parser.add_argument("--check", action="store_true", help="check options, data and shapes, print them, and stop")
    much = parser.add_mutually_exclusive_group()
    much.add_argument("-q", "--quiet", action="store_true", help="say nothing but why it failed; the log has all")
    much.add_argument("-v", "--verbose", action="store_true", help="print every option, and where an error was raised")


def network_of(path: str, key: str | None) -> dict[str, Any]:
    """Read which network a weights file holds: `type`, options and `scale`. Raises `ConfigError`."""
    from traiNNer.engine.checkpoint import weights  # only where a file leaves its network out: it imports torch

    return weights.network_of(path, key)
