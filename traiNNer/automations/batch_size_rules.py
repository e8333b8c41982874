"""Which micro-batch to take next, from what is known at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from traiNNer.automations.memory_model import Line, reach

GAIN = 1.03
STEP = 1.25  # a growth by less is not taken on the strength of a single size
GAP = 0.01  # share of the device that must be free below the aim for a measurement at half the size to pay
MOVES, REVERSALS = 10, 3
GROW, SHRINK, NO_GAIN = "low VRAM usage", "high VRAM usage", "no gain in images per second"
PROBE, PROBED = "measuring memory per image", "memory per image measured"

Choice = tuple[int, str] | None


def reversals(moves: Sequence[int]) -> int:
    """Return how often the direction changed in a list of +1 and -1."""
    return sum(before != after for before, after in pairwise(moves))


@dataclass(frozen=True)
class Situation:
    """All that a choice depends on; `used`, `target` and `aim` are shares of the device, `others` and `total` bytes.

    `home` is the last size that was accepted, `observed` the sizes that peaks are known of, `sizes` those there are.
    """

    size: int
    home: int
    sizes: Sequence[int]
    observed: Sequence[int]
    line: Line
    used: float
    others: float
    total: float
    target: float
    aim: float
    ceiling: float
    moves: Sequence[int]

    def usage(self, size: int) -> float:
        """Return the share of the device expected to be in use at a size."""
        return (self.line.at(size) + self.others) / self.total

    def fitting(self) -> list[int]:
        """Return the sizes that are predicted to stay below the aim, near enough to what was observed."""
        near = [size for size in self.sizes if size < self.ceiling and size <= reach(self.observed)]
        return [size for size in near if self.usage(size) <= self.aim]

    def shrink(self) -> Choice:
        """Return a smaller size when more than the target is in use."""
        smaller = [size for size in self.sizes if size < self.size]
        if self.used <= self.target or not smaller:
            return None
        return max((size for size in smaller if self.usage(size) <= self.aim), default=smaller[0]), SHRINK

    def end_probe(self) -> Choice:
        """Return where to go from half the size: to a larger one than before, or back."""
        larger = self.fitting() + [self.home] * (self.usage(self.home) <= self.target)
        best = max(larger, default=self.size)
        return (best, GROW if best > self.home else PROBED) if best > self.size else None

    def grow(self) -> Choice:
        """Return the largest size that fits, unless the size has gone up and down too often.

        The host takes four changes of direction for an automation that does not know what it wants.
        """
        best = max(self.fitting(), default=0)
        is_sure = len(self.observed) > 1 or best >= min(STEP * self.size, self.sizes[-1])
        is_calm = reversals([*self.moves[1 - MOVES :], 1]) < REVERSALS
        return (best, GROW) if best >= GAIN * self.size and is_sure and is_calm else None

    def probe(self) -> Choice:
        """Return half the size where only one is known and a larger one may fit."""
        is_open = len(self.observed) == 1 and any(self.size < size < self.ceiling for size in self.sizes)
        is_calm = reversals([*self.moves[2 - MOVES :], -1, 1]) < REVERSALS
        smaller = [size for size in self.sizes if size <= self.size / 2]
        has_room = self.used < self.aim - GAP
        return (smaller[-1], PROBE) if is_open and is_calm and has_room and smaller else None
