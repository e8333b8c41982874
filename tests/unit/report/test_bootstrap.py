import numpy as np
import pytest

from traiNNer.report import bootstrap
from traiNNer.report.bootstrap import interval


def test_interval_has_the_width_that_theory_gives():
    values = np.random.default_rng(1).normal(0.5, 2.0, 400)
    found = interval(values.tolist())
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)
    assert found.count == 400
    assert found.is_clear


def test_same_seed_gives_the_same_interval():
    values = [0.1, -0.2, 0.4, 0.3]
    assert interval(values, 3) == interval(values, 3)
    assert not interval(values).is_clear
    assert interval(list(np.linspace(-1, 1.3, 50)), 3) != interval(list(np.linspace(-1, 1.3, 50)), 4)


def test_many_values_are_drawn_in_parts(monkeypatch):
    monkeypatch.setattr(bootstrap, "AT_ONCE", 50)
    assert interval([1.0, 1.0, 1.0]) == bootstrap.Interval(1.0, 1.0, 1.0, 3)
    assert interval(list(range(100))).low < 49.5 < interval(list(range(100))).high


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="nothing"):
        interval([])
