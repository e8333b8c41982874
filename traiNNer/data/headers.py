"""Every file's header, read once: in parallel, and remembered by path, modification time and size."""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from traiNNer.utils.files import write_bytes_atomic
from traiNNer.utils.images import Header, ImageError, read_header

THREADS = 8


def read_headers(paths: Sequence[Path], max_megapixels: float) -> dict[Path, Header | ImageError]:
    """Return the header of every file, or what is wrong with it. A cache that cannot be written is done without."""
    if not paths:
        return {}
    store = _cache_file(paths)
    known = _load(store)
    stamps = {path: _stamp(path, max_megapixels) for path in paths}
    fresh = [path for path in paths if known.get(str(path), [None])[0] != stamps[path]]
    with ThreadPoolExecutor(THREADS) as pool:
        read = dict(zip(fresh, pool.map(lambda path: _read(path, max_megapixels), fresh), strict=True))
    headers = {path: read[path] if path in read else Header(*known[str(path)][1]) for path in paths}
    if fresh:
        good = {
            str(path): [stamps[path], [header.width, header.height, header.channels, header.bits]]
            for path, header in headers.items()
            if isinstance(header, Header)
        }
        with contextlib.suppress(OSError):
            write_bytes_atomic(store, json.dumps(good).encode())
    return headers


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
    return f"{status.st_mtime_ns}/{status.st_size}/{max_megapixels:g}"


def _cache_file(paths: Sequence[Path]) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = os.path.commonpath([path.absolute().parent for path in paths])
    return base / "trainner" / "headers" / f"{hashlib.sha256(folder.encode()).hexdigest()[:16]}.json"


def _load(store: Path) -> dict[str, list]:
    try:
        known = json.loads(store.read_text(encoding="utf-8"))
        return {key: value for key, value in known.items() if len(value) == 2 and len(value[1]) == 4}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
