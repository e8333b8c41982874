"""The score that a run is going to end with, against curves whose end is known."""

import pytest

from traiNNer.engine.control.prediction import share_to_fall
from traiNNer.optim.schedules import ConstantLR, CosineAnnealingLR, LinearLR, OneCycleLR, compose

TOTAL = 40000


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
