"""Files that are written whole or not at all, and names for people."""

import contextlib
import hashlib
import os
import re
from pathlib import Path


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, a kill or a power loss sees the old content or the new one, never a part.

    Written aside in the same folder, synced, renamed, and the folder synced. Missing folders are made.

    Raises:
        OSError: nothing was changed; no temporary file stays behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)  # noqa: PTH105 - the plain call is what a test can make fail
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # The new name is in force by now; some network file systems cannot sync a folder, and that is no failure.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nearest_existing(path: Path) -> Path:
    """Return the deepest folder on the way to `path` that exists."""
    for folder in (path, *path.absolute().parents):
        if folder.is_dir():
            return folder
    return Path(path.absolute().anchor)


def natural_key(name: str) -> list[int | str]:
    """Return a sort key that puts `img2` before `img10`."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]
