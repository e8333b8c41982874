import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from traiNNer.automations.trend import correlation, dependence, noise_sd, theil_sen


@pytest.mark.parametrize("n", [10, 11, 21, 50])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_slope_and_interval_agree_with_scipy(n, confidence):
    rng = np.random.default_rng(n)
    x = np.cumsum(rng.integers(1, 5, n)).astype(float)
    y = 0.3 * x + rng.normal(size=n)
    trend, oracle = theil_sen(x, y, confidence), theilslopes(y, x, alpha=confidence)
    assert trend.slope == pytest.approx(oracle[0])
    steps = np.sort([(y[j] - y[i]) / (x[j] - x[i]) for i in range(n) for j in range(i + 1, n)])
    for mine, theirs in ((trend.lower, oracle[2]), (trend.upper, oracle[3])):  # scipy rounds the rank, we go outwards
        assert abs(int(np.argmin(abs(steps - mine))) - int(np.argmin(abs(steps - theirs)))) <= 1
    assert trend.lower <= oracle[2]
    assert trend.upper >= oracle[3]


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_coverage_is_nominal(confidence):
    rng, x = np.random.default_rng(0), np.arange(10.0)
    found = [theil_sen(x, 2 * x + rng.normal(size=10), confidence) for _ in range(1000)]
    covered = np.mean([trend.lower <= 2 <= trend.upper for trend in found])
    assert confidence - 0.02 <= covered <= confidence + 0.05


def test_pairs_across_a_break_do_not_count():
    """Two parts on other levels: the slope is the median of the slopes within them, the interval wider than of one."""
    rng, x = np.random.default_rng(3), np.arange(40.0)
    y = 0.1 * x + rng.normal(0, 0.5, 40)
    jumped = y + 50.0 * (x > 14)
    trend = theil_sen(x, jumped, 0.9, breaks=[14])
    inner = [(y[j] - y[i]) / (j - i) for i in range(40) for j in range(i + 1, 40) if (i > 14) == (j > 14)]
    assert trend.slope == pytest.approx(np.median(inner))
    assert (trend.lower, trend.upper) == pytest.approx(
        [getattr(theil_sen(x, y, 0.9, [14]), at) for at in ("lower", "upper")]
    )
    whole = theil_sen(x, y, 0.9)
    assert trend.upper - trend.lower > whole.upper - whole.lower
    assert theil_sen(x, jumped, 0.9).slope > 2 * trend.slope


def test_coverage_is_nominal_with_breaks():
    rng, x, breaks = np.random.default_rng(4), np.arange(24.0), [5, 13]
    level = np.where(x <= 5, 0, np.where(x <= 13, 7, -3))
    found = [theil_sen(x, 2 * x + level + rng.normal(size=24), 0.9, breaks) for _ in range(1000)]
    assert 0.88 <= np.mean([trend.lower <= 2 <= trend.upper for trend in found]) <= 0.95


@pytest.mark.parametrize("breaks", [[0], [0, 1, 2], [1]])
def test_too_few_pairs_bound_nothing(breaks):
    trend = theil_sen([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], 0.9, breaks)
    assert (trend.lower, trend.upper) == (-math.inf, math.inf)


def test_long_parts_are_downsampled_apart():
    x = np.arange(5000.0)
    trend = theil_sen(x, 0.5 * x + 1e4 * (x > 1777), 0.95, breaks=[1777])
    assert trend.slope == pytest.approx(0.5)


def test_outlier_hardly_moves_the_slope():
    x = np.arange(20.0)
    y = 0.1 * x
    y[7] = 1e6
    assert theil_sen(x, y, 0.9).slope == pytest.approx(0.1)


def test_long_series_is_downsampled_and_keeps_its_slope():
    x = np.arange(5000.0)
    trend = theil_sen(x, 0.5 * x + np.random.default_rng(1).normal(size=5000), 0.95)
    assert trend.lower < 0.5 < trend.upper
    assert trend.upper - trend.lower < 1e-3
    assert trend.window == 4999


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.floats(-5, 5))
def test_bounds_enclose_the_slope_and_flip_with_the_series(values, tilt):
    x = list(range(len(values)))
    trend = theil_sen(x, values, 0.9)
    turned = theil_sen(x, [-value for value in values], 0.9)
    assert trend.lower <= trend.slope <= trend.upper
    assert (turned.lower, turned.upper) == (-trend.upper, -trend.lower)
    tilted = theil_sen(x, [value + tilt * at for at, value in zip(x, values, strict=True)], 0.9)
    assert tilted.slope == pytest.approx(trend.slope + tilt, abs=1e-6)


def test_noise_is_measured_about_the_trend_and_needs_four_values():
    rng = np.random.default_rng(2)
    values = (0.7 * np.arange(2000) + rng.normal(0, 0.05, 2000)).tolist()
    assert noise_sd(values) == pytest.approx(0.05, rel=0.1)
    values[100] = 1e9
    assert noise_sd(values) == pytest.approx(0.05, rel=0.1)
    assert noise_sd(values[:3]) == 0.0


def test_interval_of_correlated_averages_holds_a_flat_trend_as_often_as_it_says():
    rng, window, missed = np.random.default_rng(0), 20.0, [0, 0]
    for _ in range(400):
        level, values = 0.0, []
        for draw in rng.normal(size=40 * 10):
            level += (draw - level) / window
            values.append(level)
        at, seen = list(range(10, 401, 10)), values[9::10]
        for place, widening in enumerate((1.0, dependence(10, window))):
            trend = theil_sen(at, seen, 0.9, widening=widening)
            missed[place] += not trend.lower <= 0.0 <= trend.upper
    assert missed[0] > 2 * 40  # as if the values were independent
    assert 10 <= missed[1] <= 60


def test_values_without_an_average_are_independent():
    assert dependence(100, 0.0) == 1.0
    assert dependence(10_000, 100.0) == pytest.approx(1.0)


def wandering(rng, n, r):
    values = [rng.normal() / np.sqrt(1 - r**2)]
    for _ in range(n - 1):
        values.append(r * values[-1] + rng.normal())
    return np.array(values)


@pytest.mark.parametrize("r", [0.6, 0.8])
def test_correlation_is_estimated_without_the_bias_of_short_series(r):
    rng, x = np.random.default_rng(5), np.arange(40.0)
    found = [correlation(x, 0.3 * x + wandering(rng, 40, r)) for _ in range(1000)]
    assert np.median(found) == pytest.approx(r, abs=0.07)


def test_independent_values_and_straight_lines_have_no_correlation():
    rng, x = np.random.default_rng(6), np.arange(20.0)
    assert np.mean([correlation(x, 0.3 * x + rng.normal(size=20)) > 0 for _ in range(1000)]) < 0.03
    assert correlation(x, 30 + 0.3 * x) == correlation(x, 30 + 0 * x) == correlation(x[:9], x[:9] ** 2) == 0


def test_interval_covers_the_slope_of_values_that_wander():
    """At r = 0.8 an interval that takes them for independent holds the true slope in every second series."""
    rng, x, plain, wide = np.random.default_rng(7), np.arange(40.0), [], []
    for _ in range(400):
        y = 0.3 * x + wandering(rng, 40, 0.8)
        for found, seen in ((plain, 0.0), (wide, correlation(x, y))):
            trend = theil_sen(x, y, 0.9, widening=dependence(1, 0, seen))
            found.append(trend.lower <= 0.3 <= trend.upper)
    assert np.mean(plain) < 0.6
    assert np.mean(wide) >= 0.85
