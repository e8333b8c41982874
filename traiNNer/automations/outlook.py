"""What a learning-rate schedule still has in store: pure functions of the schedule, without any state."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from traiNNer.engine.control.knobs import Knob

Schedule = Callable[[int], float]
KEPT = 0.9
"""A learning rate that keeps less than this share from one iteration to the next has dropped."""
GRID = 128


def with_fallback(schedule: Schedule, knob: Knob) -> Schedule:
    """Return a schedule times the fallback of a knob that is disabled, where that is one too."""
    fallback = knob.fallback if knob.is_disabled else None
    return (lambda at: schedule(at) * fallback(at)) if callable(fallback) else schedule


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


def _grid(first: int, last: int) -> Sequence[int]:
    count = min(GRID, last - first)
    return [first + (last - first) * step // count for step in range(count + 1)] if count > 0 else [max(first, last)]
