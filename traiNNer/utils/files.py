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
    aside = path.with_name(f".{_short(path.name)}.tmp-{os.getpid()}")
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


def _short(name: str) -> str:
    # File systems allow 255 bytes; a long name must not fail only because of what is added to it for a moment.
    return name if len(os.fsencode(name)) <= 200 else hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    # The new name is active by now; some network file systems cannot sync a folder, and that is not a failure.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
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
        if is_folder(folder):
            return folder
    return Path(path.absolute().anchor)


def is_folder(path: Path) -> bool:
    """Return whether this is a folder that may be read."""
    try:
        return path.is_dir()
    except OSError:  # before Python 3.14 a folder above that may not be entered raises
        return False


def natural_key(name: str) -> list[int | str]:
    """Return a sort key that puts `img2` before `img10`."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]
