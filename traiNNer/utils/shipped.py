"""The option files and schemas that ship with traiNNer: beside the package in a checkout, inside it when installed."""

import os
from pathlib import Path

from traiNNer.utils.files import write_bytes_atomic

PACKAGE = Path(__file__).parents[1]
SCHEMA = "options.schema.json"


def shipped_options() -> Path:
    """Return the folder of the option files."""
    inside = PACKAGE / "options"
    return inside if inside.is_dir() else PACKAGE.parent / "options"


def copy_options(folder: Path) -> list[Path]:
    """Write every shipped option file and schema that is missing below `folder`. Returns those written.

    Raises:
        OSError: one cannot be written.
    """
    source = shipped_options()
    written = []
    for file in sorted(path for path in source.rglob("*") if path.suffix in (".yml", ".json")):
        target = folder / file.relative_to(source)
        if not target.exists():
            write_bytes_atomic(target, file.read_bytes())
            written.append(target)
    return written


def schema_line(output: Path) -> str:
    """Return the comment that tells an editor which schema an option file follows.

    That is a copy in its folder or one above, where there is one, and else the installed one.
    """
    folder = output.absolute().parent
    near = (place / name for place in (folder, *folder.parents) for name in (SCHEMA, f"options/{SCHEMA}"))
    found = next((path for path in near if path.is_file()), None)
    where = Path(os.path.relpath(found, folder)).as_posix() if found else (shipped_options() / SCHEMA).as_uri()
    return f"# yaml-language-server: $schema={where}"
