import pytest

from traiNNer.automations.outlook import Outlook, milestones, rate_will_fall
from traiNNer.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    compose,
)

TOTAL = 40000
COSINE = CosineAnnealingLR(TOTAL, 1e-3)


@pytest.mark.parametrize(
    ("schedule", "until"),
    [
        (lambda _: 1.0, 0),
        (compose(None, 1000), 0),
        (ConstantLR(0.5, 2000), 0),
        (MultiStepLR((20000,), 0.5), 20001),
        (MultiStepLR((10000, 30000), 0.1), 30001),
        (MultiStepLR((20000,), 0.95), 0),
        (MultiStepLR((TOTAL,), 0.5), 0),
        (compose(MultiStepLR((20000,), 0.5), 2000), 20001),
    ],
)
def test_constant_rate_never_falls_and_milestones_fall_until_passed(schedule, until):
    answers = [rate_will_fall(schedule, at, TOTAL) for at in (0, 5000, 15000, 19999, 20000, 20001, 25000, 30001, 39000)]
    assert answers == [at < until for at in (0, 5000, 15000, 19999, 20000, 20001, 25000, 30001, 39000)]


def test_cosine_matters_above_a_tenth_of_its_peak():
    """(1 + cos(pi s)) / 2 = 0.1 at s = 0.795."""
    assert rate_will_fall(COSINE, int(0.79 * TOTAL), TOTAL)
    for share in (0.80, 0.9, 0.99, 0.9995):
        assert not rate_will_fall(COSINE, int(share * TOTAL), TOTAL)
    assert not rate_will_fall(COSINE, TOTAL - 2, TOTAL)


def test_cosine_that_ends_early_or_high():
    assert not rate_will_fall(CosineAnnealingLR(TOTAL, 1e-3, T_max=20000), 20000, TOTAL)
    high = CosineAnnealingLR(TOTAL, 1.0, eta_min=0.5)
    assert rate_will_fall(high, TOTAL // 2, TOTAL)
    assert not rate_will_fall(high, int(0.9 * TOTAL), TOTAL)


def test_rise_followed_by_a_fall_counts():
    assert rate_will_fall(OneCycleLR(TOTAL, 1e-3), 0, TOTAL)
    restarts = CosineAnnealingWarmRestarts(1.0, 10000)
    assert rate_will_fall(restarts, 19500, TOTAL)
    assert not rate_will_fall(restarts, 39500, TOTAL)
    assert not rate_will_fall(LinearLR(0.1, 1.0, TOTAL), 0, TOTAL)


def test_milestones_are_found_exactly_and_smooth_decays_are_not():
    assert milestones(MultiStepLR((7001, 7050, 33333), 0.5), 0, TOTAL) == [7001, 7050, 33333]
    assert milestones(MultiStepLR((7001, 33333), 0.5), 7002, TOTAL) == [33333]
    for smooth in (COSINE, LinearLR(1.0, 0.0, TOTAL), OneCycleLR(TOTAL, 1e-3), compose(None, 2000)):
        assert milestones(smooth, 0, TOTAL) == []


@pytest.mark.parametrize("schedule", [COSINE, MultiStepLR((10000, 30000), 0.1), OneCycleLR(TOTAL, 1e-3)])
def test_outlook_matches_the_function(schedule):
    outlook = Outlook(schedule, TOTAL)
    for at in range(0, TOTAL, 777):
        assert outlook.will_fall(at) == rate_will_fall(schedule, at, TOTAL)


def test_values_compare_since_the_last_drop():
    every = list(range(1000, TOTAL + 1, 1000))
    steps = Outlook(MultiStepLR((20000,), 0.5), TOTAL)
    assert steps.comparable(every[:20]) == 0
    assert every[steps.comparable(every[:25])] == 21000
    assert Outlook(lambda _: 1.0, TOTAL).comparable(every) == 0
    smooth = Outlook(COSINE, TOTAL)
    assert smooth.comparable(every[:4]) == 0
    start = smooth.comparable(every[:20])
    assert 1 < 20 - start < 4
    assert COSINE(every[start] - 1) <= COSINE(19999) / 0.9 < COSINE(every[start - 1] - 1)
    assert every[smooth.comparable(every)] == 32000
