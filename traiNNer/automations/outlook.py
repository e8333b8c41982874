"""What a learning-rate schedule still has in store: pure functions of the schedule, without any state."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

Schedule = Callable[[int], float]
KEPT = 0.9
"""A learning rate below this share of an earlier one has dropped; values of a metric from before are not comparable."""
LOW = 0.1
"""At or below this share of its peak a learning rate that keeps falling smoothly has nothing left to give."""
GRID = 128


def rate_will_fall(schedule: Schedule, iteration: int, total_iter: int) -> bool:
    """Tell after `iteration` iterations whether a drop of more than 10 % lies ahead that a run should wait for.

    That is a drop, sudden or slow, from above 10 % of the schedule's peak, or a sudden one (a milestone) from any rate.
    The factor may rise before it drops, as with warm restarts. `schedule` counts iterations from 0.
    """
    peak, top = _peak(schedule, total_iter), 0.0
    for place in _grid(max(0, iteration - 1), total_iter - 1):
        factor = schedule(place)
        top = max(top, factor)
        if top > LOW * peak and factor < KEPT * top:
            return True
    return bool(milestones(schedule, iteration, total_iter))


def milestones(schedule: Schedule, iteration: int, total_iter: int) -> list[int]:
    """Return the iterations, counted from 0, from `iteration` on, that begin with a sudden drop of more than 10 %."""
    grid = _grid(max(0, iteration - 1), total_iter - 1)
    return [place for left, right in pairwise(grid) for place in _sudden(schedule, left, right)]


def _sudden(schedule: Schedule, left: int, right: int) -> list[int]:
    before, after = schedule(left), schedule(right)
    if after >= KEPT * before:
        return []
    if right - left > 1:
        middle = (left + right) // 2
        return _sudden(schedule, left, middle) + _sudden(schedule, middle, right)
    # Near zero a smooth schedule also loses more than 10 % in an iteration, but then it did so in the one before.
    slope = schedule(left - 1) - before if left else 0.0
    return [right] if slope < (before - after) / 2 else []


def _peak(schedule: Schedule, total_iter: int) -> float:
    return max(schedule(place) for place in _grid(0, total_iter - 1))


def _grid(first: int, last: int) -> Sequence[int]:
    count = min(GRID, last - first)
    return [first + (last - first) * step // count for step in range(count + 1)] if count > 0 else [max(first, last)]


@dataclass(frozen=True)
class Outlook:
    """The same answers for one run, asked again and again: what costs something is worked out once."""

    schedule: Schedule
    total_iter: int

    def will_fall(self, iteration: int) -> bool:
        """Return `rate_will_fall` after an iteration."""
        return iteration < self._falls_until

    def comparable(self, iterations: Sequence[int]) -> int:
        """Return where in these iterations (counted from 1, in order) the values that compare with the last begin.

        The rate has not dropped by more than 10 % since then, small rates that fall smoothly aside.
        """
        limit = max(self.schedule(iterations[-1] - 1) / KEPT, LOW * self._top)
        since = max((place for place in self._milestones if place < iterations[-1]), default=-1)
        start = len(iterations) - 1
        while start and iterations[start - 1] > since and self.schedule(iterations[start - 1] - 1) <= limit:
            start -= 1
        return start

    @cached_property
    def _falls_until(self) -> int:
        done = range(self.total_iter)
        return bisect_left(done, True, key=lambda place: not rate_will_fall(self.schedule, place, self.total_iter))

    @cached_property
    def _milestones(self) -> list[int]:
        return milestones(self.schedule, 0, self.total_iter)

    @cached_property
    def _top(self) -> float:
        return _peak(self.schedule, self.total_iter)
