"""Successive halving: short trials of every rate from the same start; the better half goes on.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

SHARES = (1, 2, 4)
"""Length of a trial at the end of each round, in units of the first."""
LEAST_ITERATIONS = 20
"""Fewer tell nothing: high rates have not settled by then."""


class Trial(Protocol):
    """A training that can be continued and judged."""

    def train(self, iterations: int) -> float:
        """Train on for so many iterations; returns the seconds, or NaN when the loss was not finite."""
        ...

    def score(self) -> float:
        """Return how good it is; more is better."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


@dataclass
class Outcome:
    """Every rate with its score after each round that it took part in; `lengths` are of the finished rounds."""

    scores: dict[float, list[float]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)

    def last(self) -> dict[float, float]:
        """Return the scores after the last round that was finished."""
        rounds = len(self.lengths)
        return {rate: scores[rounds - 1] for rate, scores in self.scores.items() if 0 < rounds <= len(scores)}

    @property
    def best(self) -> float | None:
        """The rate that scored best in the last round; None when every trial diverged."""
        finite = {rate: score for rate, score in self.last().items() if math.isfinite(score)}
        return max(finite, key=lambda rate: finite[rate]) if finite else None


def first_length(rates: int, seconds: float, step_s: float, score_s: float) -> int:
    """Return the iterations of the first round so that all rounds together take `seconds`; 0 when that is too few."""
    survivors = _survivors(rates)
    trained = sum(
        count * (share - before) for count, share, before in zip(survivors, SHARES, (0, *SHARES), strict=False)
    )
    length = int((seconds - sum(survivors) * score_s) / (trained * step_s))
    return length if length >= LEAST_ITERATIONS else 0


def halve(
    rates: Sequence[float],
    length: int,
    start: Callable[[float], Trial],
    say: Callable[[str], None],
    is_over: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train every rate for `length` iterations, the better half for as many again, and so on.

    Args:
        rates: learning rates, each with a trial of its own.
        length: iterations of the first round.
        start: makes the trial of a rate; all have to start from the same weights.
        say: told what is going on.
        is_over: asked before every trial; the first round is finished in any case.
    """
    trials = {rate: start(rate) for rate in rates}
    outcome = Outcome({rate: [] for rate in rates})
    done = 0
    try:
        for count, share in zip(_survivors(len(rates)), SHARES, strict=True):
            ranked = sorted(trials, key=lambda rate: -_last(outcome, rate))
            for rate in ranked[count:]:
                trials.pop(rate).close()
            for rate, trial in trials.items():
                if done and is_over():
                    return outcome
                say(f"trying learning rates: {rate:g} for {share * length} iterations")
                finite = math.isfinite(trial.train(share * length - done))
                outcome.scores[rate].append(trial.score() if finite else -math.inf)
            done = share * length
            outcome.lengths.append(done)
    finally:
        for trial in trials.values():
            trial.close()
    return outcome


def _survivors(rates: int) -> list[int]:
    """Return how many trials take part in each round: all, half, and two."""
    return [rates, -(-rates // 2), min(2, rates)]


def _last(outcome: Outcome, rate: float) -> float:
    return outcome.scores[rate][-1] if outcome.scores[rate] else 0.0
