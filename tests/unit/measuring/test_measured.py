"""Decisions from measured values."""

import math

from traiNNer.measuring.measured import Costs, Measured, Pace, Trials


def test_best_of_the_last_finished_round_is_used():
    trials = Trials({1e-3: (9.0,), 2e-3: (5.0, 7.0), 4e-3: (6.0, 6.5)}, (20, 40))
    assert trials.last() == {2e-3: 7.0, 4e-3: 6.5}
    assert trials.best == 2e-3
    assert Measured(trials=trials).learning_rate == 2e-3


def test_no_best_if_all_diverged_or_none_was_tried():
    assert Trials({1e-3: (-math.inf,), 2e-3: (math.nan,)}, (20,)).best is None
    assert Trials().best is None
    assert Measured().learning_rate is None


def test_starting_includes_reading_the_images_once():
    pace = Pace(0, 3.0, 0.0, {0: 3.0}, 18, 6.0, 5.0, 1.0, 0.5, 0.1)
    assert Measured(start_s=4.0, pace=pace).costs == Costs(3.0, 1.0, 0.5, 9.0, 0.1)
    assert Measured(start_s=4.0).costs is None
