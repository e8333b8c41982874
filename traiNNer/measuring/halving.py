"""Successive halving: short trials of every learning rate from the same start; the better half continues.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from traiNNer.measuring.measured import Trials

SHARES = (1, 2, 4)
"""Length of a trial at the end of each round, in units of the first."""
LEAST_ITERATIONS = 20
"""Fewer show nothing: high learning rates have not settled by then."""


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
) -> Trials:
    """Train with every learning rate for `length` iterations, with the better half for as many again, and so on.

    Args:
        rates: learning rates, each tried separately.
        length: iterations of the first round.
        start: makes the trial of a rate; all have to start from the same weights.
        say: receives a line for every step.
        is_over: asked before every trial; the first round is finished in any case.
    """
    trials = {rate: start(rate) for rate in rates}
    scores: dict[float, list[float]] = {rate: [] for rate in rates}
    lengths: list[int] = []
    try:
        for count, share in zip(_survivors(len(rates)), SHARES, strict=True):
            ranked = sorted(trials, key=lambda rate: -_last(scores[rate]))
            for rate in ranked[count:]:
                trials.pop(rate).close()
            done = lengths[-1] if lengths else 0
            for rate, trial in trials.items():
                if done and is_over():
                    return _finished(scores, lengths)
                say(f"trying learning rates: {rate:g} for {share * length} iterations")
                finite = math.isfinite(trial.train(share * length - done))
                scores[rate].append(trial.score() if finite else -math.inf)
            lengths.append(share * length)
    finally:
        for trial in trials.values():
            trial.close()
    return _finished(scores, lengths)


def _survivors(rates: int) -> list[int]:
    """Return how many trials take part in each round: all, half, and two."""
    return [rates, -(-rates // 2), min(2, rates)]


def _last(scores: Sequence[float]) -> float:
    return scores[-1] if scores else 0.0


def _finished(scores: Mapping[float, Sequence[float]], lengths: Sequence[int]) -> Trials:
    return Trials({rate: tuple(each) for rate, each in scores.items()}, tuple(lengths))
