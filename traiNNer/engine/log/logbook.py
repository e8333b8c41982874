"""What a run says: the screen, the text log, `metrics.jsonl` (the record) and TensorBoard.

A failure to write any of these is reported once and never ends a run.
"""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter
from rich.progress import Progress

from traiNNer.engine.log.progress import progress_bar
from traiNNer.engine.log.screen import drop_unwritten, screen
from traiNNer.engine.log.tensorboard import TensorBoard
from traiNNer.engine.log.trackers import Trackers
from traiNNer.engine.run_folder import RunFolder, cause
from traiNNer.utils.bounded import Misfit, check, read_lines
from traiNNer.utils.files import open_own, write_bytes_atomic
from traiNNer.utils.printable import printable, printable_name

CURVES = ("train", "validation", "prediction")


class Logbook:
    """Talks to the user and keeps the record. A rank other than 0 stays silent (`folder` None, `quiet`)."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = screen(quiet)
        self._started = time.perf_counter()
        self._log: IO[str] | None = None
        self._metrics: IO[str] | None = None
        self._decisions: IO[str] | None = None
        self._tensorboard: TensorBoard | None = None
        self._trackers: Trackers | None = None
        self._progress: Progress | None = None
        self._early: list[str] = []
        self._last = self._total = 0
        self._told: set[str] = set()
        self.rank = 0

    def open(self, folder: RunFolder, use_tensorboard: bool, start: int) -> None:
        """Start writing files. The record after iteration `start`, where a resumed run continues, is dropped."""
        folder.log.mkdir(parents=True, exist_ok=True)
        self._log = _appended(folder.log / f"train_{time.strftime('%Y%m%d_%H%M%S')}.log")
        for line in self._early:
            self._write_log(line)
        self._early = []
        damages = keep_until(folder.metrics, start) + keep_until(folder.decisions, start)
        self._metrics = _appended(folder.metrics)
        self._decisions = _appended(folder.decisions)
        self.warn_all(damages)
        if use_tensorboard:
            self._tensorboard = TensorBoard(folder.tensorboard, start, self.warn)

    def follow(self, trackers: Trackers) -> None:
        """Send the numbers of the curves to trackers too, from now to the end."""
        self._trackers = trackers

    def speak_for(self, rank: int) -> None:
        """Leave the talking to rank 0; another rank only says why it failed."""
        self.rank = rank
        self.console.quiet = self.console.quiet or rank > 0

    def info(self, text: str) -> None:
        """Say a line."""
        self._print(text)
        self._write_log(text)

    def info_all(self, texts: Sequence[str]) -> None:
        """Say several lines."""
        for text in texts:
            self.info(text)

    def warn(self, text: str) -> None:
        """Say a line that the user should act on or know."""
        self._print(f"Warning: {text}", "yellow")
        self._write_log(f"Warning: {text}")

    def warn_all(self, texts: Sequence[str]) -> None:
        """Say several warnings."""
        for text in texts:
            self.warn(text)

    def event(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """Write one line of the record; numbers go to TensorBoard under the same keys, unless they are text.

        The line also has the `time` of the system's clock, in seconds since 1970, and the `seconds` since this start.
        """
        self._last = iteration
        finite = _without_infinities(values)
        now = {"time": round(time.time(), 2), "seconds": round(time.perf_counter() - self._started, 2)}
        self._write(self._metrics, json.dumps({"event": kind, "iter": iteration, **finite, **now}, ensure_ascii=False))
        for name, value in finite.items() if kind in CURVES else ():
            if isinstance(value, (int, float)):
                self._to_tensorboard("add_scalar", name, value, iteration)
        if self._trackers and kind in CURVES:
            numbers = {name: float(value) for name, value in finite.items() if isinstance(value, (int, float))}
            self._trackers.log(numbers, iteration)

    def decision(self, iteration: int, about: Mapping[str, Any]) -> None:
        """Write one line of the record and the same one of `decisions.jsonl`, and a mark in TensorBoard."""
        line = json.dumps(_without_infinities({"event": "decision", "iter": iteration, **about}), ensure_ascii=False)
        for file in (self._metrics, self._decisions):
            self._write(file, line)
        mark = f"automation/{about['knob'] or about['action']}"
        if about["knob"]:
            self._to_tensorboard("add_scalar", mark, about["new"], iteration)
        self._to_tensorboard("add_text", mark, f"{about['automation']}: {about['reason']}", iteration)

    def image(self, name: str, image: np.ndarray, iteration: int) -> None:
        """Show an H, W, 3 uint8 image in TensorBoard."""
        self._to_tensorboard("add_image", name, image, iteration, dataformats="HWC")

    def start_progress(self, total: int, done: int) -> None:
        """Remember how far it is to go, and show a progress bar when the output is a terminal."""
        self._total, self._last = total, done
        if not self.console.is_terminal or self.console.quiet:
            return
        self._progress = progress_bar(self.console)
        self._progress.add_task("", total=total, completed=done)
        self._progress.start()

    def set_total(self, total: int) -> None:
        """Let the run end at another iteration than the progress bar was started with."""
        self._total = total
        if self._progress:
            self._progress.update(self._progress.tasks[0].id, total=total)

    def advance(self, iteration: int, text: str | None = None) -> None:
        """Move the progress bar; `text` is what stands behind it."""
        self._last = iteration
        if self._progress:
            task = self._progress.tasks[0]
            self._progress.update(
                task.id, completed=iteration, description=task.description if text is None else printable_name(text)
            )

    def stop_progress(self) -> None:
        """Take the progress bar away."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def finish(self, reason: str, code: int, label: str = "internal error") -> None:
        """Say why the run ended: the last line of the screen, the log and the record.

        After a failure on the way that line is `stopped: <label> at 135/600`, below the `reason`.
        """
        self.stop_progress()
        self._close_tensorboard()
        self._close_trackers(code)
        if code and self._total and not reason.rsplit("\n", 1)[-1].startswith(("stopped: ", "Interrupted (")):
            reason += f"\nstopped: {label} at {self._last:,}/{self._total:,}"
        reason = printable(reason)
        self._print(reason, None if code == 0 else "bold red")
        if code and self.rank:
            with suppress(OSError):
                sys.stderr.write(f"rank {self.rank}: {reason}\n")
        self._write_log(reason)
        self.event("run_finished", self._last, {"reason": reason, "exit_code": code})

    def close(self) -> None:
        """Close every file."""
        self.stop_progress()
        self._close_tensorboard()
        for file in (self._log, self._metrics, self._decisions):
            if file:
                with suppress(OSError):  # what could not be written was reported when it was tried
                    file.close()
        self._log = self._metrics = self._decisions = None
        drop_unwritten()

    def _close_tensorboard(self) -> None:
        board, self._tensorboard = self._tensorboard, None
        if board:
            board.close()

    def _close_trackers(self, code: int) -> None:
        trackers, self._trackers = self._trackers, None
        if trackers:
            trackers.finish(code)

    def _to_tensorboard(self, method: str, name: str, *values: Any, **options: Any) -> None:
        if self._tensorboard:
            self._tensorboard.add(method, name, *values, **options)

    def _print(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style)

    def _write_log(self, text: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {printable(text)}"
        if self._log is None:
            self._early.append(text)
        else:
            self._write(self._log, line)

    def _write(self, file: IO[str] | None, line: str) -> None:
        if file is None:
            return
        try:
            file.write(line + "\n")
            file.flush()
        except OSError as error:
            if file.name not in self._told:
                self._told.add(file.name)
                self._print(f"Warning: could not write {file.name} ({cause(error)}). Training continues.", "yellow")


def _appended(path: Path) -> IO[str]:
    """Open a file of the run for more lines. Raises `OSError`, also for a link."""
    return open(path, "a", encoding="utf-8", errors="backslashreplace", opener=open_own)


def _without_infinities(value: Any) -> Any:
    """Return nested values with null for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)

    event: str
    iter: int


_LINE = TypeAdapter(_Line)


def keep_until(path: Path, iteration: int) -> list[str]:
    """Drop from a record every line after `iteration`, and what is no line of a record.

    Returns:
        A warning where a line was damaged; a last one that was cut off by a kill is dropped without.

    Raises:
        OSError: the record cannot be read or written.
    """
    if not path.exists():
        return []
    kept, damaged, last = [], [], b""
    for number, (line, value) in enumerate(read_lines(path), 1):
        last = line
        try:
            entry = check(_LINE, value)
        except Misfit:
            damaged.append(number)
            continue
        ended = entry.event == "run_finished"
        if entry.iter <= iteration and not (ended and entry.iter == iteration):
            kept.append(line if line.endswith(b"\n") else line + b"\n")
    if damaged and not last.endswith(b"\n"):
        damaged = damaged[:-1]
    write_bytes_atomic(path, b"".join(kept))
    if not damaged:
        return []
    where = f"line{'s' * (len(damaged) > 1)} {', '.join(map(str, damaged[:5]))}{' …' * (len(damaged) > 5)}"
    return [f"{path} is damaged in {where}: left out. Only this record lacks something, not the training."]
