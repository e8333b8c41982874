"""What can go wrong in a run, told to the user, with the exit code that goes with it.

Every error of this file is shown as its message alone; anything else that ends a run is our bug and shows
its traceback.
"""

from collections.abc import Sequence
from dataclasses import dataclass

UNFIT_MACHINE = 9
"""Exit code where training is impossible on this machine: of `trainner doctor`, whose report says why, and of a run."""
MOST_SHOWN = 50
"""Problems of one file that are listed; the others are counted."""
WIDEST_KEY, LONGEST_KEY = 60, 100
"""Characters of the column of keys, and after how many a key is cut."""


class RunError(Exception):
    """A problem the user can act on; the message says what, where, and what to do."""

    exit_code = 1
    label = "internal error"
    """What it was, in a few words, for the last line of a run."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an option file: where it stands, what was found, what to write instead."""

    key: str
    message: str
    line: int | None = None
    value: str | None = None

    def place(self) -> tuple[str, str]:
        """Return the two left columns of the report: the line and `key = value`."""
        line = f"line {self.line}" if self.line is not None else ""
        key = self.key if len(self.key) <= LONGEST_KEY else f"{self.key[:LONGEST_KEY]}..."
        return line, key if self.value is None else f"{key} = {self.value}"


class ConfigError(RunError):
    """The options cannot be used. Carries every problem found, not only the first."""

    exit_code = 2
    label = "options that cannot be used"

    def __init__(self, source: str, problems: Sequence[Problem] = ()) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(self._report())

    def _report(self) -> str:
        if not self.problems:
            return self.source
        count = len(self.problems)
        listed = self.problems[:MOST_SHOWN]
        places = [problem.place() for problem in listed]
        width_line = max(len(line) for line, _ in places)
        width_key = min(WIDEST_KEY, max(len(key) for _, key in places))
        rows = [
            f"  {line:<{width_line}}  {key:<{width_key}}  {problem.message}".rstrip()
            for (line, key), problem in zip(places, listed, strict=True)
        ]
        if count > MOST_SHOWN:
            rows.append(f"  and {count - MOST_SHOWN:,} more")
        return "\n".join([f"{self.source}: {count:,} problem{'s' if count > 1 else ''}", *rows])


class DataError(RunError):
    """A dataset cannot be used; the message names the set and the files."""

    exit_code = 3
    label = "data that cannot be used"


class MetricError(DataError):
    """A metric cannot be computed for an image, e.g. because it is too small."""


class TooFewHandles(DataError):
    """The process may not have as many files open as a run needs; what was trained before is saved."""

    exit_code = UNFIT_MACHINE
    label = "too few file handles"


class TooFewAddresses(RunError):
    """The process may not have the address space that torch needs; nothing was begun."""

    exit_code = UNFIT_MACHINE
    label = "too little address space"


class CheckpointError(RunError):
    """A run cannot be resumed from what is on disk; the message names the file and the key."""

    exit_code = 4
    label = "a checkpoint that cannot be used"


class FolderGone(CheckpointError):
    """The run's folder was deleted or renamed while the run wrote to it."""

    label = "folder deleted or renamed"


class TrainingDiverged(RunError):
    """Losses or gradients stayed non-finite; the message names the term, the iteration and the last good state."""

    exit_code = 5
    label = "not finite"


class NotExported(RunError):
    """A network cannot be written in another form, or that form computes something else. Nothing was written."""

    label = "not exported"


class FolderInUse(RunError):
    """Another process owns the run folder."""

    exit_code = 6
    label = "folder in use"


class CannotWrite(RunError):
    """The run folder cannot be written."""

    exit_code = 7
    label = "cannot write"


class OutOfMemory(RunError):
    """The device cannot hold one step; the message proposes a smaller batch."""

    exit_code = 8
    label = "out of memory"


class RankLost(RunError):
    """Another process of the same run ended, so this one cannot continue; the last checkpoint is complete."""

    exit_code = 10
    label = "a rank was lost"


class Interrupted(RunError):
    """A signal asked the run to stop; everything was saved first. The exit code is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
