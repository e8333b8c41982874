"""`trainner cache`: list the decoded images that runs keep, and clear them.

Exit codes: 0 done, 2 a folder of which nothing is kept.
"""

import argparse
from pathlib import Path
from typing import Any

from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable

EXAMPLE = "trainner cache --clear"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "cache",
        help="list the decoded images that runs have kept, and clear them",
        epilog="exit codes: 0 done, 2 a folder of which nothing is kept",
    )
    parser.add_argument(
        "--clear", nargs="*", type=Path, metavar="DIR", help="clear those of these folders of images; of all by default"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where they are: what cache: <folder> names")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List or clear. Returns the exit code."""
    from traiNNer.data.cache.places import Kept, default_base, kept, remove_folder

    base = args.folder or default_base()
    found = list(kept(base)) if base else []
    wanted = None if not args.clear else {str(folder.absolute()) for folder in args.clear}
    if wanted and (unknown := wanted - {store.root for store in found}):
        raise ConfigError(f"Nothing is kept in {base} of {', '.join(sorted(unknown))}. `trainner cache` lists all.")
    chosen: list[Kept] = [store for store in found if wanted is None or store.root in wanted]
    for store in chosen:
        print(printable(_line(store)))
        if args.clear is not None:
            remove_folder(store.folder)
    total = sum(store.bytes_on_disk for store in chosen) / 2**30
    done = "cleared" if args.clear is not None else "kept"
    print(printable(f"{len(chosen)} folder{'s' * (len(chosen) != 1)} of images, {total:.2f} GB {done} in {base}"))
    return 0


def _line(store: Any) -> str:
    days = store.unused_s / 86400
    age = "today" if days < 1 else f"{days:.0f} days ago"
    other = "" if store.is_current else ", by other versions of the decoders"
    return f"{store.bytes_on_disk / 2**30:8.2f} GB {store.images:9,} images  used {age}  {store.root}{other}"
