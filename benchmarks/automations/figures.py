"""What the figures on photos share: which runs there are, pairs of them, and tables with targets."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.automations.arms import NETWORKS, Arms, Case, Network
from benchmarks.automations.files import FILES, File
from benchmarks.automations.intervals import Interval, by_seed
from benchmarks.automations.runner import Arm, Result

SEEDS = (1, 2, 3, 4, 5, 6)
HARM = 0.05
"""Most that a run may lose, in dB."""

Wanted = list[tuple[Arm, int]]
Find = Callable[[Arm, int], Result | None]


@dataclass(frozen=True)
class Table:
    """A figure: its rows as cells of text, and what misses its target."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    missed: list[str]

    def __str__(self) -> str:
        """Return the table in Markdown."""
        lines = [f"### {self.title}", "", f"| {' | '.join(self.head)} |", f"|{'---|' * len(self.head)}"]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])


@dataclass(frozen=True)
class Scope:
    """What is run: the builder of the runs, networks, files and seeds."""

    arms: Arms
    networks: Sequence[Network] = NETWORKS
    files: Sequence[File] = FILES
    seeds: Sequence[int] = SEEDS

    def cases(self) -> Iterator[Case]:
        """Yield every network with every file, seed by seed."""
        for seed in self.seeds:
            for network in self.networks:
                yield from (Case(network, file, seed) for file in self.files)

    def turns(self, network: Network, seeds: Sequence[int] | None = None) -> list[Case]:
        """Return one case a seed, the files in turn."""
        first = self.networks.index(network)
        return [Case(network, self.files[(seed + first) % len(self.files)], seed) for seed in seeds or self.seeds]


Pair = tuple[int, Result, Result]


def pairs(
    cases: Sequence[Case], reference: Callable[[Case], Arm], other: Callable[[Case], Arm], find: Find
) -> list[Pair]:
    """Return seed and both results of every case in which both are known."""
    found = [(case.seed, find(reference(case), case.seed), find(other(case), case.seed)) for case in cases]
    return [(seed, a, b) for seed, a, b in found if a is not None and b is not None]


def lost(found: Sequence[Pair]) -> list[tuple[int, float]]:
    """Return by how many dB the second is below the first, with the seed; infinite if it did not get to its end."""
    return [(seed, math.inf if math.isnan(b.score) else a.score - b.score) for seed, a, b in found]


def interval(found: Sequence[Pair]) -> Interval:
    return Interval.of(by_seed(lost(found)))


def mean_score(results: Sequence[Result]) -> str:
    """Return the mean score, and how many diverged."""
    scores = [one.score for one in results if one.survived]
    failed = len(results) - len(scores)
    text = f"{fmean(scores):.2f}" if scores else ""
    return f"{text}{f' ({failed} diverged)' if failed else ''}".strip() or "-"


def verdict(met: bool) -> str:
    return "met" if met else "MISS"
