"""Every file's header, read once: in parallel, and remembered by path, modification time, size and a checksum."""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from pydantic import InstanceOf, TypeAdapter

from traiNNer.imaging.image_file import Header, ImageError, read_header
from traiNNer.utils.bounded import read
from traiNNer.utils.caches import cache_folder
from traiNNer.utils.files import write_bytes_atomic
from traiNNer.utils.threaded import threaded

PATIENCE_S = 120.0
MOST_BYTES = 1 << 30  # some four million files
_KNOWN = TypeAdapter(dict[InstanceOf[str], tuple[str, list[int | float | str | bool | None], int]])
VERSION = 3  # raise it when a header means something else than before


def read_headers(paths: Sequence[Path], max_megapixels: float) -> dict[Path, Header | ImageError]:
    """Return the header of every file, or what is wrong with it. A cache that cannot be written is done without."""
    if not paths:
        return {}
    store = _cache_file(paths)
    known = _load(store)
    stamps = {path: _stamp(path, max_megapixels) for path in paths}
    fresh = [path for path in paths if known.get(str(path), [None])[0] != stamps[path]]
    read = dict(
        zip(fresh, threaded(lambda path: _read(path, max_megapixels), fresh, PATIENCE_S, _no_answer), strict=True)
    )
    headers = {path: read[path] if path in read else Header(*known[str(path)][1]) for path in paths}
    if fresh and store:
        good = {
            str(path): _entry(str(path), stamps[path], header)
            for path, header in headers.items()
            if isinstance(header, Header)
        }
        with contextlib.suppress(OSError):
            write_bytes_atomic(store, json.dumps(good).encode())
    return headers


def _no_answer(path: Path) -> ImageError:
    return ImageError(path, f"no answer for {PATIENCE_S:g} s: is the disk or network share slow?")


def _entry(path: str, stamp: str, header: Header) -> list:
    values = list(astuple(header))
    return [stamp, values, _checksum(path, stamp, values)]


def _checksum(path: str, stamp: str, values: list) -> int:
    return zlib.crc32(json.dumps([path, stamp, values]).encode())


def _read(path: Path, max_megapixels: float) -> Header | ImageError:
    try:
        return read_header(path, max_megapixels)
    except ImageError as error:
        return error


def _stamp(path: Path, max_megapixels: float) -> str:
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{VERSION}/{status.st_mtime_ns}/{status.st_size}/{max_megapixels:g}"


def _cache_file(paths: Sequence[Path]) -> Path | None:
    """Return one file for each group of folders, so that two sets under one roof do not overwrite each other's."""
    base = cache_folder("headers")
    folders = "\n".join(sorted({str(folder.absolute()) for folder in {path.parent for path in paths}}))
    return base and base / f"{hashlib.sha256(os.fsencode(folders)).hexdigest()[:16]}.json"


def _load(store: Path | None) -> dict[str, tuple[str, list, int]]:
    try:
        known = read(store, _KNOWN, MOST_BYTES) if store else {}
    except (OSError, ValueError):  # it is only a cache
        return {}
    return {key: value for key, value in known.items() if _is_entry(key, value)}


def _is_entry(path: str, value: object) -> bool:
    """Return whether an entry is as it was written: one that is not is read again."""
    match value:
        case [str() as stamp, [*values], int() as checksum]:
            return len(values) == len(fields(Header)) and checksum == _checksum(path, stamp, values)
    return False
