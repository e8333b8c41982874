"""The score that a run is going to end with, against curves whose end is known."""

import math
from functools import cache

import numpy as np
import pytest

from traiNNer.engine.control.events import ProbeFinished
from traiNNer.engine.control.prediction import ANNEALING, LOG_TO_DB, WITHIN, Forecast, share_to_fall, trained
from traiNNer.optim.schedules import ConstantLR, CosineAnnealingLR, LinearLR, OneCycleLR, compose

TOTAL = 40000
SCHEDULES = {
    "linear from the start": LinearLR(1.0, 0.0, TOTAL),
    "constant, then linear": lambda at: min(1.0, (TOTAL - at) / (0.3 * TOTAL)),
    "cosine": CosineAnnealingLR(TOTAL, 1.0),
    "constant": lambda _: 1.0,
}


def curve(schedule, gap=0.0, noise=0.0, until=TOTAL, scale=1.0, power=0.5, every=100):
    """Return a forecast that saw the probes of a power law of what was trained, and its average by iteration.

    Live weights are worse than their average by `gap` times the rate, and the average lacks of the power law what the
    rest of the fall of the rate is still going to give.
    """
    rng, forecast, seen = np.random.default_rng(0), Forecast(schedule, TOTAL), {}
    places = range(every, until + 1, every)
    for at, done in zip(places, trained(schedule, np.array(places, float), TOTAL).tolist(), strict=True):
        apart = gap * schedule(min(at, TOTAL - 1))
        ahead = ANNEALING * apart * share_to_fall(schedule, at, TOTAL) if apart else 0.0
        seen[at] = 32 - scale * done**-power - ahead + rng.normal(0, noise)
        forecast.add(ProbeFinished(at, [-(seen[at] - apart) / LOG_TO_DB] * 2, [-seen[at] / LOG_TO_DB] * 2))
    return forecast, seen


@cache
def end_of(name, gap=0.0, power=0.5):
    """Return the average at the end of a run."""
    return curve(SCHEDULES[name], gap, power=power, every=TOTAL)[1][TOTAL]


@pytest.mark.parametrize("gap", [0.0, 1.0])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_end_of_a_power_law_is_found_under_every_schedule(name, gap, share):
    now = int(share * TOTAL)
    forecast, seen = curve(SCHEDULES[name], gap, until=now)
    found = forecast.predict(now, seen[now] + 3.0)  # the score is of other images than the probe
    assert found.value == pytest.approx(end_of(name, gap) + 3.0, abs=0.01)


@pytest.mark.parametrize("power", [0.1, 1.0])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_other_powers_end_within_the_interval(power, share):
    now = int(share * TOTAL)
    forecast, seen = curve(SCHEDULES["cosine"], until=now, power=power)
    found = forecast.predict(now, seen[now])
    assert found.low < end_of("cosine", power=power) < found.high


def test_annealing_is_a_share_of_the_gap_that_still_falls():
    flat, without = SCHEDULES["constant, then linear"], SCHEDULES["constant"]
    values = [curve(schedule, gap=1.0, until=TOTAL // 2, scale=0.0) for schedule in (flat, without)]
    gains = [forecast.predict(TOTAL // 2, seen[TOTAL // 2]).value - seen[TOTAL // 2] for forecast, seen in values]
    assert gains == pytest.approx([ANNEALING, 0.0], abs=1e-4)


def test_interval_is_as_wide_as_training_is_still_to_grow():
    widths = []
    for share in (0.25, 0.5, 0.75, 1.0):
        forecast, _ = curve(SCHEDULES["constant"], noise=0.01, until=int(share * TOTAL))
        found = forecast.predict(int(share * TOTAL), 30.0)
        widths.append((found.high - found.low) / 2 / WITHIN)
    assert widths == pytest.approx([math.hypot(1.05 * math.log(1 / share), 0.03) for share in (0.25, 0.5, 0.75, 1.0)])


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("constant", 0.5),
        ("linear from the start", 0.75),
        ("constant, then linear", 0.5 / 0.85),
        ("cosine", 0.5 + 1 / math.pi),
    ],
)
def test_training_is_the_sum_of_the_rates(name, share):
    assert trained(SCHEDULES[name], np.array([TOTAL / 2, TOTAL]), TOTAL) == pytest.approx([share, 1.0], abs=1e-3)


def test_nothing_is_predicted_too_early_or_from_what_is_not_finite():
    forecast, _ = curve(SCHEDULES["constant"], until=TOTAL // 2)
    assert forecast.predict(TOTAL // 5, 30.0) is None
    assert forecast.predict(TOTAL // 2, math.nan) is None
    few, _ = curve(SCHEDULES["constant"], until=200)
    few.add(ProbeFinished(300, [math.nan], [math.nan]))
    assert few.predict(TOTAL // 2, 30.0) is None
    few.add(ProbeFinished(400, [0.1], [0.1]))
    assert few.predict(TOTAL // 2, 30.0) is not None


def test_probes_of_the_warmup_are_left_out():
    forecast = Forecast(SCHEDULES["constant"], TOTAL, warmup_iter=1000)
    for at in (500, 1000, 1100):
        forecast.add(ProbeFinished(at, [0.1], [0.1]))
    assert [probe[0] for probe in forecast.probes] == [1100]


def test_another_end_and_a_resume_are_followed():
    forecast, _ = curve(SCHEDULES["constant"], until=TOTAL // 2)
    again = Forecast(SCHEDULES["constant"], TOTAL)
    again.load_state_dict(forecast.state_dict())
    assert again.predict(TOTAL // 2, 30.0) == forecast.predict(TOTAL // 2, 30.0)
    again.expect_end(TOTAL // 2)
    assert again.predict(TOTAL // 2, 30.0).value == pytest.approx(30.0)


def test_long_runs_keep_a_bounded_number_of_probes():
    forecast, _ = curve(SCHEDULES["constant"])
    for at in range(TOTAL + 100, 3 * TOTAL, 100):
        forecast.add(ProbeFinished(at, [0.1], [0.1]))
    assert len(forecast.probes) <= 400
    assert forecast.probes[-1][0] == 3 * TOTAL - 100


@pytest.mark.parametrize(
    ("schedule", "at", "share"),
    [
        (lambda _: 1.0, 0, 0.0),
        (ConstantLR(0.5, 2000), 0, 0.0),
        (LinearLR(0.1, 1.0, TOTAL), 0, 0.0),
        (LinearLR(1.0, 0.0, TOTAL), 1000, 1.0),
        (compose(None, 1000), 0, 0.0),
        (CosineAnnealingLR(TOTAL, 1e-3), TOTAL // 2, 1.0),
        (CosineAnnealingLR(TOTAL, 1e-3), TOTAL, 0.0),
        (CosineAnnealingLR(TOTAL, 1.0, eta_min=0.5), 0, 0.5),
        (CosineAnnealingLR(TOTAL, 1e-3, T_max=20000), 20001, 0.0),
        (OneCycleLR(TOTAL, 1e-3), 0, 1.0),
        (lambda _: 0.0, 0, 0.0),
    ],
)
def test_share_that_the_rate_still_falls(schedule, at, share):
    assert share_to_fall(schedule, at, TOTAL) == pytest.approx(share, abs=1e-3)
