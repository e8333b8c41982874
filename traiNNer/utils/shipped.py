"""The option files and schemas that ship with traiNNer: beside the package in a checkout, inside it when installed."""

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
