import math
import pickle

import pytest

import traiNNer.optim  # noqa: F401 - registers them
from traiNNer.registry import SCHEDULES

REQUIRED = {
    "multisteplr": {"milestones": [30, 60]},
    "cosineannealingwarmrestarts": {"T_0": 25},
    "cosineannealingrestartlr": {"periods": [40, 60]},
}
NAMES = SCHEDULES.names()
TOTAL = 100


@pytest.fixture(params=NAMES)
def schedule(request):
    return SCHEDULES.build(request.param, REQUIRED.get(request.param), total_iter=TOTAL, base_lr=1e-3)


def test_all_are_here():
    names = {"MultiStepLR", "CosineAnnealingLR", "ConstantLR", "LinearLR", "OneCycleLR", "CosineAnnealingWarmRestarts"}
    names |= {"CosineAnnealingRestartLR", "WarmupStableDecayLR"}
    assert {name.lower() for name in names} <= set(NAMES)


def test_factor_is_finite_and_never_above_the_base_rate(schedule):
    # Evaluated beyond the end too: a resumed run may be longer than the schedule.
    factors = [schedule(iteration) for iteration in range(3 * TOTAL)]
    assert all(isinstance(factor, float) and math.isfinite(factor) and 0 <= factor <= 1 for factor in factors)
    assert len(set(factors)) > 1


def test_same_iteration_same_factor_in_any_order_and_process(schedule):
    copy = pickle.loads(pickle.dumps(schedule))
    order = [*range(TOTAL), *reversed(range(TOTAL))]
    assert [copy(iteration) for iteration in order] == [schedule(iteration) for iteration in order]


def test_every_option_is_described(schedule):
    component = next(component for component in SCHEDULES if component.builder is type(schedule))
    for option in component.options.model_fields:
        assert f"    {option}: " in (component.builder.__doc__ or "")
