"""Files that are written whole or not at all, and names for people."""

import codecs
import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import BinaryIO


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, a kill or a power loss sees the old content or the new one, never a part.

    Written aside in the same folder, synced, renamed, and the folder synced. Missing folders are made. A link of that
    name is replaced, not followed.

    Raises:
        OSError: nothing was changed; no temporary file stays behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{_short(path.name)}.tmp-{secrets.token_hex(8)}")
    handle = create_new(aside)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)  # noqa: PTH105 - the plain call is what a test can make fail
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    _sync_folder(path.parent)


def create_new(path: Path) -> int:
    """Make a file that is not there yet, and return its handle for writing. Neither a file nor a link is touched.

    Raises:
        OSError: something of this name is there, or the file cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o666)


def open_own(path: str | Path, flags: int) -> int:
    """Return a handle of a file in a folder of the run, as `opener` of `open`: a link or a pipe there is refused.

    Raises:
        OSError: it cannot be opened, is a link, or not a regular file.
    """
    never = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags | never, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not followed: remove it", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file: remove it", str(path))
    return handle


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


def read_text_bounded(path: Path, most_bytes: int) -> str:
    """Read a text file: UTF-8 or UTF-16, with or without a byte-order mark (UTF-16 only with one).

    A pipe or a device is refused, never waited for.

    Args:
        path: the file.
        most_bytes: how large it may be.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger.
        ValueError: it is not text.
    """
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes:,} bytes", str(path))
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_wide else "utf-8-sig")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises `OSError`, also for a pipe or a device, which might be waited for."""
    # Without O_NONBLOCK, opening a pipe waits for someone to write into it.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return open(handle, "rb")  # noqa: PTH123 - a handle has no path
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


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
