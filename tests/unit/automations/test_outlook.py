import pytest

from traiNNer.automations.outlook import milestones
from traiNNer.engine.control.prediction import share_to_fall
from traiNNer.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    compose,
)

TOTAL = 40000
COSINE = CosineAnnealingLR(TOTAL, 1e-3)


@pytest.mark.parametrize(
    ("schedule", "at", "share"),
    [
        (lambda _: 1.0, 0, 0.0),
        (ConstantLR(0.5, 2000), 0, 0.0),
        (LinearLR(0.1, 1.0, TOTAL), 0, 0.0),
        (LinearLR(1.0, 0.0, TOTAL), 1000, 1.0),
        (compose(None, 1000), 0, 0.0),
        (COSINE, TOTAL // 2, 1.0),
        (COSINE, TOTAL, 0.0),
        (CosineAnnealingLR(TOTAL, 1.0, eta_min=0.5), 0, 0.5),
        (CosineAnnealingLR(TOTAL, 1e-3, T_max=20000), 20001, 0.0),
        (OneCycleLR(TOTAL, 1e-3), 0, 1.0),
        (lambda _: 0.0, 0, 0.0),
    ],
)
def test_share_that_the_rate_still_falls(schedule, at, share):
    assert share_to_fall(schedule, at, TOTAL) == pytest.approx(share, abs=1e-3)


def test_milestones_are_found_exactly_and_smooth_decays_are_not():
    assert milestones(MultiStepLR((7001, 7050, 33333), 0.5), 0, TOTAL) == [7001, 7050, 33333]
    assert milestones(MultiStepLR((7001, 33333), 0.5), 7002, TOTAL) == [33333]
    for smooth in (COSINE, LinearLR(1.0, 0.0, TOTAL), OneCycleLR(TOTAL, 1e-3), compose(None, 2000)):
        assert milestones(smooth, 0, TOTAL) == []
