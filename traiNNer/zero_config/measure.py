"""Measuring in a process of its own, which takes every trace with it, and remembering what was found."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from traiNNer.errors import OutOfMemory
from traiNNer.utils.files import write_bytes_atomic

Say = Callable[[str], None]
LIMIT_S = 900.0
OPTIONAL_UNTIL_S, LEAST_OPTIONAL_S = 80.0, 15.0
VERSION = 1  # raise it when a result means something else than before


def measure(job: Mapping[str, Any], say: Say, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Do a job in a child process and return what it found, by name; `setting` is a list.

    Ended at the limit, or by its own death, it leaves what it had found by then; `ended` says why (None: it is done).
    Compiling, its last step, is given up without harm.

    Raises:
        OutOfMemory: not even one crop fits.
    """
    # The package may have been found by other means than an installation, such as a path set in a notebook.
    package = str(Path(__file__).parents[2])
    search = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "traiNNer.zero_config.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": search},
        )
        limit = _Limit(process, limit_s)
        found: dict[str, Any] = {"setting": [], "ended": None}
        try:
            doing = _follow(process, job, found, say, limit)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)  # it has closed its output and is about to end
        finally:
            limit.cancel()
            process.kill()
            code = process.wait()
            if process.stdout:
                process.stdout.close()
        if "done" not in found:
            found["ended"] = f"{doing}: {'it took too long' if limit.is_over else _cause(code, errors)}"
            if limit.is_short and not any(one["title"] == "compiled" for one in found["setting"]):
                note = "did not get through in time" if limit.is_over else _cause(code, errors)
                found["setting"].append(
                    {"title": "compiled", "changes": {"use_compile": True}, "is_taken": False} | {"note": note}
                )
            if limit.is_short:
                found["ended"] = None
    if found.get("fit", {}) is None:
        raise OutOfMemory("Not even one training crop fits into memory. Take a smaller network or smaller crops.")
    return found


class _Limit:
    """Kills a process after a while; what is only tried at the end gets less time."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self.process = process
        self.is_over = self.is_short = False
        self.started = time.monotonic()
        self._start(seconds)

    def shorten(self) -> None:
        """Give the rest until `OPTIONAL_UNTIL_S` after the start, and a little in any case."""
        self.is_short = True
        self._timer.cancel()
        self._start(max(LEAST_OPTIONAL_S, OPTIONAL_UNTIL_S - (time.monotonic() - self.started)))

    def cancel(self) -> None:
        """Let the process live."""
        self._timer.cancel()

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        self.is_over = True
        self.process.kill()


def _follow(
    process: subprocess.Popen[str], job: Mapping[str, Any], found: dict[str, Any], say: Say, limit: _Limit
) -> str:
    assert process.stdin
    assert process.stdout
    doing = "starting"
    with suppress(BrokenPipeError):
        json.dump(job, process.stdin)
        process.stdin.close()
    for line in process.stdout:
        message = json.loads(line)
        if "say" in message:
            doing = message["say"]
            say(doing)
        elif "optional" in message:
            limit.shorten()
        elif message["found"] == "setting":
            found["setting"].append(message["value"])
        elif message["found"] == "ready":
            found["ready"] = time.monotonic() - limit.started  # as long as train.py takes to start, imports included
        else:
            found[message["found"]] = message["value"]
    return doing


def _cause(code: int, errors: Any) -> str:
    if code == -9:
        return "the process was killed; most likely there was no memory left"
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    return lines[-1] if lines else f"the process ended with code {code}"


def remembered(
    key: Mapping[str, Any], measure_now: Callable[[], dict[str, Any]], fresh: bool = False
) -> dict[str, Any]:
    """Return what was found before under the same key (data, machine, settings), or measure and remember it.

    Only complete results are kept. A cache that cannot be read or written is done without.
    """
    store = _store(key)
    if store and not fresh:
        with suppress(OSError, ValueError):
            kept = json.loads(store.read_text(encoding="utf-8"))
            if isinstance(kept, dict) and {"fit", "pace", "setting"} <= kept.keys():
                return kept | {"remembered": True}
    found = measure_now()
    if store and found["ended"] is None:
        with suppress(OSError):
            write_bytes_atomic(store, json.dumps(found).encode())
    return found


def _store(key: Mapping[str, Any]) -> Path | None:
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    digest = hashlib.sha256(json.dumps({"version": VERSION, **key}, sort_keys=True).encode()).hexdigest()
    return base / "trainner" / "measured" / f"{digest[:24]}.json"
