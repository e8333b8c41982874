"""How a time budget is spent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.errors import ConfigError
from traiNNer.measuring.measured import Costs
from traiNNer.zero_config.plan import duration, fit, price, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("30 min", 1800), ("30", 1800), ("8h", 28800), ("1h30m", 5400), ("1.5h", 5400),
     ("2d", 172800), ("1d 2h 3m 4s", 93784), (" 10M ", 600)],
)  # fmt: skip
def test_durations_are_parsed(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10x", "m", "-5m", "0", "0m", "1h30", "30m1h", "nan", "inf", "1e3"])
def test_invalid_duration_is_reported(text):
    with pytest.raises(ConfigError, match="--budget"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (99, "99 s"), (1800, "30 min"), (5400, "1 h 30 min"), (7200, "2 h")]
)
def test_durations_are_formatted(seconds, text):
    assert duration(seconds) == text


def test_example_of_the_issue():
    plan = fit(1800, Costs(it_per_s=6.1, validation_s=3.5, start_s=5), warmup_iter=1000)
    assert plan.total_iter == pytest.approx(10_900 * 0.92, rel=0.06)
    assert plan.validating < 0.05
    assert plan.warmup_iter <= plan.total_iter / 20


@settings(max_examples=300, deadline=None)
@given(
    budget=st.floats(20, 1e6),
    speed=st.floats(0.02, 500),
    validation=st.floats(0.01, 600),
    first=st.floats(0, 60),
    start=st.floats(1, 60),
    save=st.floats(0, 5),
    spent=st.floats(0, 0.5),
)
def test_plan_ends_within_its_budget_and_uses_most_of_it(budget, speed, validation, first, start, save, spent):
    costs = Costs(speed, validation, first, start, save)
    try:
        plan = fit(budget, costs, 1000, spent * budget)
    except ConfigError:
        # Refused only where not even two hundred iterations and a validation fit.
        assert spent * budget + start + first + validation + 2 * save + 200 / speed > 0.9 * budget
        return
    total = plan.seconds + spent * budget
    assert total <= budget
    # The rest: a margin, a validation that did not fit, and rounding of iterations.
    assert total >= 0.93 * budget - validation - 100 / speed
    assert (plan.seconds, plan.validating) == price(plan.total_iter, plan.val_freq, costs)
    assert plan.validations <= 21
    assert plan.val_freq >= 1
    assert plan.warmup_iter < plan.total_iter
    assert plan.patience >= 5 * plan.val_freq


def test_too_short_budget_reports_the_minimum():
    costs = Costs(it_per_s=0.5, validation_s=30, start_s=8)
    with pytest.raises(ConfigError, match=r"The least is 8 min") as caught:
        fit(60, costs, 1000, spent=20)
    assert "measuring took 20 s" in str(caught.value)
    assert fit(480, costs, 1000, spent=20).validations == 1


def test_validation_takes_at_most_3_percent_of_the_time():
    plan = fit(3600, Costs(it_per_s=10, validation_s=20, start_s=5), 1000)
    assert plan.validating <= 0.03
    assert plan.validations >= 5
