"""Measure in a separate process, which takes every trace with it, and remember what was found."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from traiNNer.errors import OutOfMemory
from traiNNer.measuring.measured import Comparison, Measured
from traiNNer.measuring.messages import (
    Job,
    Message,
    MessageError,
    Progress,
    Stage,
    encode,
    read_measured,
    read_message,
)
from traiNNer.utils.caches import cache_folder
from traiNNer.utils.files import write_bytes_atomic

Say = Callable[[str], None]
LIMIT_S = 900.0
OPTIONAL_UNTIL_S, LEAST_OPTIONAL_S = 80.0, 15.0
VERSION = 2  # raise it when a result means something else than before


def measure(job: Job, say: Say, limit_s: float = LIMIT_S) -> Measured:
    """Do a job in a child process and return what it found.

    Ended at the limit, by its own death, or for an invalid message, it leaves what it had found by then; `ended`
    says why (None: it is done). Compiling, its last step, may be cut short without harm.

    Raises:
        OutOfMemory: not even one crop fits.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = _start(errors)
        limit = _Limit(process, limit_s)
        follower = _Follower(say, limit)
        fault = ""
        try:
            _send(process, job)
            follower.read(process.stdout or ())
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)  # it has closed its output and is about to end
        except MessageError as error:
            fault = f"the measuring process sent an invalid message: {error}"
        finally:
            limit.cancel()
            code = _end(process)
        if follower.is_too_large:
            raise OutOfMemory("Not even one training crop fits into memory. Take a smaller network or smaller crops.")
        if follower.is_done:
            return follower.measured
        return _cut_short(follower, limit, fault or _cause(code, errors))


def _start(errors: IO[str]) -> "subprocess.Popen[str]":
    # The package may have been found by other means than an installation, such as a path set in a notebook.
    package = str(Path(__file__).parents[2])
    search = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "traiNNer.measuring.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONPATH": search},
    )


def _send(process: "subprocess.Popen[str]", job: Job) -> None:
    assert process.stdin
    with suppress(BrokenPipeError):  # it has died, which its exit code tells better
        process.stdin.write(encode(job))
        process.stdin.close()


def _end(process: "subprocess.Popen[str]") -> int:
    process.kill()
    code = process.wait()
    if process.stdout:
        process.stdout.close()
    return code


class _Limit:
    """Kills a process after a while; what is only tried at the end gets less time."""

    def __init__(self, process: "subprocess.Popen[str]", seconds: float) -> None:
        self.process = process
        self.is_over = self.is_short = False
        self.started = time.monotonic()
        self._timer = self._started_timer(seconds)

    def elapsed(self) -> float:
        """Return the seconds since the process was started."""
        return time.monotonic() - self.started

    def shorten(self) -> None:
        """Give the rest until `OPTIONAL_UNTIL_S` after the start, and a little in any case."""
        self.is_short = True
        self._timer.cancel()
        self._timer = self._started_timer(max(LEAST_OPTIONAL_S, OPTIONAL_UNTIL_S - self.elapsed()))

    def cancel(self) -> None:
        """Let the process live."""
        self._timer.cancel()

    def _started_timer(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        self.is_over = True
        self.process.kill()


class _Follower:
    """Keeps up with what the process sends: its newest results, and what it is doing."""

    def __init__(self, say: Say, limit: _Limit) -> None:
        self.say, self.limit = say, limit
        self.measured = Measured()
        self.doing = "starting"
        self.is_done = self.is_too_large = False

    def read(self, lines: Iterable[str]) -> None:
        """Read to the end. Raises `MessageError`."""
        for line in lines:
            if line.endswith("\n"):  # the last one is cut off when the process is killed
                self._take(read_message(line))

    def _take(self, message: Message) -> None:
        match message:
            case Progress(text):
                self.doing = text
                self.say(text)
            case Measured():
                self.measured = replace(message, start_s=self.measured.start_s)
            case Stage("ready"):  # train.py takes as long to start, imports included
                self.measured = replace(self.measured, start_s=self.limit.elapsed())
            case Stage("expendable"):
                self.limit.shorten()
            case Stage("nothing fits"):
                self.is_too_large = True
            case Stage("done"):
                self.is_done = True


def _cut_short(follower: _Follower, limit: _Limit, cause: str) -> Measured:
    """Return what was found before the end came; without compiling all of it counts as done."""
    found = follower.measured
    if not limit.is_short:
        why = "it took too long" if limit.is_over else cause
        return replace(found, ended=f"{follower.doing}: {why}")
    if any(one.title == "compiled" for one in found.settings):
        return found
    note = "did not get through in time" if limit.is_over else cause
    compiled = Comparison("compiled", {"use_compile": True}, 0.0, 0.0, False, note)
    return replace(found, settings=(*found.settings, compiled))


def _cause(code: int, errors: IO[str]) -> str:
    if code == -9:
        return "the process was killed (signal 9); most likely there was no memory left"
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'the process ended'} (exit code {code})"


@dataclass(frozen=True)
class Conditions:
    """What results hold for: the same job on the same files by the same machine."""

    job: Job
    folders: tuple[str, ...]
    files: Mapping[str, Mapping[str, str | int]]
    """What every image set says of its files."""
    machine: str

    def digest(self) -> str:
        """Return a short text that is another one for other conditions."""
        text = json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def remembered(conditions: Conditions, measure_now: Callable[[], Measured], fresh: bool = False) -> Measured:
    """Return what was found before under the same conditions, or measure and remember it.

    Only complete results are kept. A memory that cannot be read or written is done without.
    """
    store = _store(conditions)
    if store and not fresh:
        with suppress(OSError, ValueError):
            kept = read_measured(store.read_text(encoding="utf-8"))
            if kept.fit and kept.pace:
                return replace(kept, is_remembered=True)
    found = measure_now()
    if store and found.ended is None:
        with suppress(OSError):
            write_bytes_atomic(store, encode(found).encode())
    return found


def _store(conditions: Conditions) -> Path | None:
    base = cache_folder("measured")
    return base and base / f"{conditions.digest()}.json"
