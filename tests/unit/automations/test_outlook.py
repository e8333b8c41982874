"""What a schedule still has in store."""

from traiNNer.automations.outlook import milestones
from traiNNer.optim.schedules import CosineAnnealingLR, LinearLR, MultiStepLR, OneCycleLR, compose

TOTAL = 40000
COSINE = CosineAnnealingLR(TOTAL, 1e-3)


def test_milestones_are_found_exactly_and_smooth_decays_are_not():
    assert milestones(MultiStepLR((7001, 7050, 33333), 0.5), 0, TOTAL) == [7001, 7050, 33333]
    assert milestones(MultiStepLR((7001, 33333), 0.5), 7002, TOTAL) == [33333]
    for smooth in (COSINE, LinearLR(1.0, 0.0, TOTAL), OneCycleLR(TOTAL, 1e-3), compose(None, 2000)):
        assert milestones(smooth, 0, TOTAL) == []
