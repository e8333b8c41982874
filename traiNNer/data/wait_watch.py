"""Whether training waits for data, why, and what helps: measured over some hundred iterations."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

ITERATIONS, SETTLING = 200, 10
"""Iterations over which waiting is measured, and those after a start of data workers that say nothing."""
MOST_WAITING = 0.15
BUSY_SHARE = 0.5
"""Share of a sample's time that the processor works on it; below, it waits: for the disk, or for its turn."""
MOST_GROWTH = 2
LONGEST = 4
"""Times the median that an iteration may count as."""


@dataclass(frozen=True)
class Cost:
    """What samples took: how many, their seconds, and the seconds in which the processor worked on them."""

    samples: float = 0.0
    seconds: float = 0.0
    worked: float = 0.0

    def since(self, before: "Cost") -> "Cost":
        """Return what was added."""
        return Cost(self.samples - before.samples, self.seconds - before.seconds, self.worked - before.worked)


@dataclass(frozen=True)
class Verdict:
    """Training waits: for which share of so many iterations, what to tell the user, and how many workers would do."""

    share: float
    count: int
    workers: int
    advice: str


class WaitWatch:
    """Measures how long training waits for data.

    Args:
        relief: asked for what would make a sample cheaper; an empty text where nothing is known.
        cores: how many cores the data workers may use.
        is_auto: whether the number of data workers may be raised.
    """

    def __init__(self, relief: Callable[[], str], cores: int, is_auto: bool = False) -> None:
        self._relief, self._cores, self._is_auto = relief, cores, is_auto
        self._begin_anew(SETTLING)

    def _begin_anew(self, settling: int) -> None:
        self._left_out = settling
        self._waited: list[float] = []
        self._worked: list[float] = []
        self._before: Cost | None = None

    def note(self, waited_s: float, worked_s: float, cost: Cost, workers: int) -> Verdict | None:
        """Add an iteration.

        Args:
            waited_s: seconds in which it waited for its data.
            worked_s: seconds of its work on them.
            cost: of all samples since the start of the data workers.
            workers: how many there are.

        Returns:
            What follows at the end of some hundred iterations with much waiting; else None.
        """
        if self._left_out:
            self._left_out -= 1
            return None
        if self._before is None:
            self._before = cost
        self._waited.append(waited_s)
        self._worked.append(worked_s)
        if len(self._waited) < ITERATIONS:
            return None
        # Validation and saving come in between, too: what an iteration cannot have taken is left out.
        most = LONGEST * median(self._worked)
        worked = sum(min(seconds, most) for seconds in self._worked)
        share = sum(self._waited) / max(1e-9, sum(self._waited) + worked)
        found = self._verdict(share, worked, cost.since(self._before), workers) if share > MOST_WAITING else None
        self._begin_anew(SETTLING if found and found.workers > workers else 0)
        return found

    def _verdict(self, share: float, worked: float, cost: Cost, workers: int) -> Verdict:
        each = cost.seconds / max(1.0, cost.samples)
        is_busy = cost.worked > BUSY_SHARE * cost.seconds
        needed_per_s = cost.samples / max(1e-9, worked)
        wanted = max(workers + 1, math.ceil(needed_per_s * each))
        most = self._cores if is_busy else 2 * self._cores  # workers that wait for a disk share a core
        usable = max(workers, min(wanted, most))
        grown = min(usable, MOST_GROWTH * max(1, workers)) if self._is_auto else workers
        cause, remedy = self._explained(each, cost, is_busy, workers, usable)
        advice = f"Training waited for data {share:.0%} of {ITERATIONS} iterations: {cause}. {remedy}"
        return Verdict(share, ITERATIONS, grown, advice)

    def _explained(self, each: float, cost: Cost, is_busy: bool, workers: int, usable: int) -> tuple[str, str]:
        relief = self._relief()
        took = f"a sample takes {1000 * each:.1f} ms"
        if not is_busy:
            share = cost.worked / max(1e-9, cost.seconds)
            cause = f"{took}, of which the processor works {share:.0%}: the disk or network share is slow, or other "
            cause += "programs take the cores"
            return cause, f"{_capital(relief) or 'Put the images on a faster disk'}."
        if usable > workers:
            or_else = f", or {relief}" if relief else ""
            cause = f"{took}, too much for {workers} data workers" if workers else f"{took} in the main process"
            return cause, f"Set num_worker_per_gpu: {usable} (now {workers}){or_else}."
        cause = f"{took}, and {workers} data workers use all {self._cores} cores that they may"
        return cause, f"{_capital(relief) or 'Allow this process more cores, or use cheaper degradations'}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
