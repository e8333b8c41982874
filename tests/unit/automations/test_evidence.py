"""E-processes against what they promise: few false alarms over all looks, and power like a test at three sigma."""

import math

import numpy as np
import pytest

from traiNNer.automations.evidence import ALPHA, SURE, Slope, log_e_flat, mean_of


def slopes(series: np.ndarray, sd: float) -> list[Slope]:
    """Return the slope after every point of a series, with the error of a known noise."""
    found = []
    for count in range(3, len(series) + 1):
        x = np.arange(count) - (count - 1) / 2
        power = float(x @ x)
        found.append(Slope(float(x @ series[:count]) / power, sd / math.sqrt(power), count))
    return found


def share_of_alarms(slope: float, least: float, runs: int = 400) -> float:
    random = np.random.default_rng(0)
    series = slope * np.arange(60) + random.normal(0, 1, (runs, 60))
    return float(np.mean([max(log_e_flat(s, least) for s in slopes(one, 1.0)) >= SURE for one in series]))


def test_a_fall_of_exactly_the_least_is_rarely_called_flat_however_often_it_is_looked_at() -> None:
    assert share_of_alarms(slope=-0.02, least=0.02) <= 2 * ALPHA


def test_a_flat_series_is_called_flat_once_three_errors_resolve_the_least() -> None:
    # 60 points resolve 3.03 errors of slope: least / se = 0.06 * sqrt(60^3 / 12) = 8.
    assert share_of_alarms(slope=0.0, least=0.06) > 0.95


def test_a_slope_of_zero_is_evidence_at_three_errors() -> None:
    assert log_e_flat(Slope(0.0, 1.0, 50), least=math.sqrt(2 * SURE)) == pytest.approx(SURE)


def test_unknown_slopes_are_no_evidence() -> None:
    assert log_e_flat(Slope(math.nan, math.nan, 2), 0.1) == -math.inf
    assert log_e_flat(Slope(0.0, 0.0, 5), 0.1) == -math.inf


def test_the_mean_of_evidence_is_that_of_the_values() -> None:
    assert mean_of([0.0, math.log(3.0)]) == pytest.approx(math.log(2.0))
    assert mean_of([1000.0, -math.inf]) == pytest.approx(1000.0 - math.log(2))
    assert mean_of([]) == -math.inf
