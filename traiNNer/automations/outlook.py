"""What a learning-rate schedule still has in store: pure functions of the schedule, without any state."""

from collections.abc import Callable, Sequence
from itertools import pairwise

Schedule = Callable[[int], float]
KEPT = 0.9
"""A learning rate that keeps less than this share from one iteration to the next has dropped."""
ANNEALING = 0.2
"""What a linear decay of the rate to zero gives beyond the averaged weights, as a share of what these are better than
the live ones."""
GRID = 128


def share_to_fall(schedule: Schedule, iteration: int, total_iter: int) -> float:
    """Return which share of its highest value after `iteration` iterations the rate has lost at the end, 0 to 1."""
    ahead = [schedule(place) for place in _grid(max(0, iteration - 1), total_iter - 1)]
    return max(0.0, 1 - ahead[-1] / max(ahead)) if max(ahead) > 0 else 0.0


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
