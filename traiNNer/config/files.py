"""Reading the option file itself, and naming what is near when it is not there."""

import codecs
from pathlib import Path

from traiNNer.config.tree import nearest
from traiNNer.config.yaml.strict import MAX_BYTES
from traiNNer.errors import ConfigError


def read_text(path: Path) -> str:
    """Return the text of an option file: UTF-8, with or without a byte-order mark. Raises `ConfigError`."""
    try:
        if not path.is_file():
            raise ConfigError(_what_it_is(path))
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MB: that is not an option file.")
        data = path.read_bytes()
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8 text. Save the file as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _what_it_is(path: Path) -> str:
    """Return why a path is no file. A pipe or device is never opened: reading it could wait for ever."""
    if path.is_dir():
        return f"{path} is a folder, not an option file."
    if path.is_fifo() or path.is_socket() or path.is_char_device() or path.is_block_device():
        return f"{path} is a pipe or a device, not an option file. Write the options to a file and name that."
    return missing_message(path)


def missing_message(path: Path) -> str:
    """Return that a file does not exist, with the nearest one that does."""
    folder = path.parent
    if not folder.is_dir():
        existing = next(parent for parent in folder.absolute().parents if parent.is_dir())
        return f"{path} does not exist: there is no folder {folder}; nearest: {existing}"
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and entry.suffix == path.suffix)
    near = nearest(path.name, names)
    hint = f"; nearest: {folder / near}" if near else f"; there: {', '.join(names[:5])}" if names else ""
    return f"{path} does not exist{hint}"
