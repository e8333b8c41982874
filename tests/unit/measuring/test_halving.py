"""Successive halving over learning rates."""

import math

import pytest

from traiNNer.measuring.halving import first_length, halve

RATES = [2e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3]


class Fake:
    """A trial whose score is a function of its learning rate and length."""

    def __init__(self, rate, score, log):
        self.rate, self.scoring, self.log = rate, score, log
        self.done = 0
        self.is_closed = False

    def train(self, iterations):
        self.done += iterations
        self.log.append((self.rate, iterations))
        return math.nan if self.rate > 5e-3 else float(iterations)

    def score(self):
        return self.scoring(self.rate, self.done)

    def close(self):
        self.is_closed = True


def run(score, length=10):
    log, trials = [], []

    def start(rate):
        trials.append(Fake(rate, score, log))
        return trials[-1]

    return halve(RATES, length, start, lambda _: None), log, trials


def test_better_half_survives_and_the_last_best_wins():
    outcome, log, trials = run(lambda rate, done: -abs(math.log(rate / 2e-3)))
    assert outcome.best == 2e-3
    assert outcome.lengths == (10, 20, 40)
    # 5e-4 is as far from the best as 8e-3 (which diverges) and comes first, so it is the third of the first round.
    assert [len(outcome.scores[rate]) for rate in RATES] == [1, 1, 3, 3, 2, 1]
    assert sum(iterations for _, iterations in log) == 6 * 10 + 3 * 10 + 2 * 20
    assert all(trial.is_closed for trial in trials)


def test_slow_starter_among_the_survivors_can_win():
    outcome, _, _ = run(lambda rate, done: rate * 1000 if done < 40 else -rate)
    assert outcome.best == 2e-3  # the last round is between 4e-3 and 2e-3


def test_diverging_learning_rate_is_eliminated():
    outcome, log, _ = run(lambda rate, done: rate)
    assert outcome.best == 4e-3
    assert [iterations for rate, iterations in log if rate == 8e-3] == [10]
    assert outcome.scores[8e-3] == (-math.inf,)


def test_no_best_if_all_diverge():
    outcome = halve([6e-3, 8e-3], 10, lambda rate: Fake(rate, lambda *_: 1.0, []), lambda _: None)
    assert outcome.best is None


def test_trials_are_closed_when_one_breaks():
    trials = []

    class Broken(Fake):
        def score(self):
            raise RuntimeError

    def start(rate):
        trials.append(Broken(rate, None, []))
        return trials[-1]

    with pytest.raises(RuntimeError):
        halve(RATES, 10, start, lambda _: None)
    assert all(trial.is_closed for trial in trials)


def test_timeout_uses_the_last_finished_round():
    calls = []

    def is_over():
        calls.append(True)
        return len(calls) > 2

    start = lambda rate: Fake(rate, lambda rate, done: rate if done <= 10 else -rate, [])  # noqa: E731
    outcome = halve(RATES[:4], 10, start, lambda _: None, is_over)
    # The second round finished, the third did not start.
    assert outcome.lengths == (10, 20)
    assert outcome.best == 1e-3
    outcome = halve(RATES[:4], 10, start, lambda _: None, lambda: True)
    assert outcome.lengths == (10,)
    assert outcome.best == 2e-3


@pytest.mark.parametrize(("step_s", "score_s"), [(0.12, 0.3), (0.01, 0.05), (0.5, 1.0)])
def test_length_fills_the_time(step_s, score_s):
    length = first_length(6, 45, step_s, score_s)
    # 6, 3 and 2 trials of once, once more and twice more the length, each scored.
    spent = lambda n: (6 + 3 + 2 * 2) * n * step_s + 11 * score_s  # noqa: E731
    assert length == 0 or spent(length) <= 45 < spent(length + 1)
    assert (length == 0) == (spent(20) > 45)
