"""Where an option file is written: whole or not at all, and never over another one unasked."""

import os
from pathlib import Path

from traiNNer.errors import CannotWrite, ConfigError
from traiNNer.utils.files import nearest_existing, write_bytes_atomic


def require_free(output: Path, overwrite: bool) -> None:
    """Raise `ConfigError` or `CannotWrite` when a file must not, or cannot, be written there."""
    if output.suffix not in (".yml", ".yaml"):
        raise ConfigError(f"-o {output}: an option file ends in .yml")
    if output.is_dir():
        raise ConfigError(f"-o {output}: is a folder")
    if not os.access(nearest_existing(output.parent), os.W_OK):
        raise CannotWrite(f"Cannot write {output} (no permission to write in {nearest_existing(output.parent)}).")
    if output.exists() and not overwrite:
        raise ConfigError(f"{output} exists. Name another file with -o, or replace it with --overwrite.")


def write(path: Path, text: str) -> None:
    """Write a text file. Raises `CannotWrite`."""
    try:
        write_bytes_atomic(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise CannotWrite(f"Cannot write {path} ({(error.strerror or 'unknown cause').lower()}).") from None
