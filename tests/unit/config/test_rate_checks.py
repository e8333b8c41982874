"""Learning rates over the length of the run."""

import pytest

from traiNNer.registry import SCHEDULES

LENGTH = "  total_iter: 100\n"
HERE, MILESTONES = "train.scheduler (line 17)", "train.scheduler.milestones (line 17)"
REST = "where hardly anything is learned"
WARNED = {
    "{type: CosineAnnealingLR, T_max: 50}": f"{HERE}: the rate is 0 from iteration 51 to 100, {REST}",
    "{type: LinearLR, start_factor: 1, end_factor: 0, total_iters: 10}": f"{HERE}: the rate is 0 from "
    f"iteration 11 to 100, {REST}",
    "{type: OneCycleLR, total_steps: 40}": f"{HERE}: the rate is 4e-09 from iteration 40 to 100, {REST}",
    "{type: CosineAnnealingLR, eta_min: 1e-2}": "train.scheduler.eta_min = 1e-2 (line 17) is above lr 0.001: the rate "
    "rises instead of falling",
    "{type: MultiStepLR, milestones: [50, 100, 200]}": f"{MILESTONES}: 100, 200 never come, total_iter is 100",
    "{type: MultiStepLR, milestones: [150]}": f"{MILESTONES}: 150 never comes, total_iter is 100",
    "{type: LinearLR, start_factor: 1, end_factor: 0, total_iters: 198}": "train.scheduler.total_iters = 198 (line 17) "
    "is beyond total_iter 100: the run ends at the rate 0.0005",
    "{type: CosineAnnealingWarmRestarts, T_0: 101}": "train.scheduler.T_0 = 101 (line 17) is beyond total_iter 100: "
    "the run ends at the rate 9.67e-07",
}
FINE = (
    "{type: CosineAnnealingLR}",
    "{type: CosineAnnealingLR, T_max: 100, eta_min: 1e-3}",
    "{type: CosineAnnealingWarmRestarts, T_0: 20}",
    "{type: OneCycleLR}",
    "{type: OneCycleLR, max_lr: 1e-2}",
    "{type: MultiStepLR, milestones: [99]}",
    "{type: LinearLR, start_factor: 1, end_factor: 0, total_iters: 100}",
    "{type: ConstantLR}",
)


def scheduled(base, schedule):
    assert LENGTH in base
    return base.replace(LENGTH, f"{LENGTH}  scheduler: {schedule}\n")


@pytest.mark.parametrize("schedule", WARNED)
def test_schedule_that_does_not_fit_the_run_is_one_warning(load, base, schedule):
    assert load(scheduled(base, schedule)).warnings == (WARNED[schedule],)


@pytest.mark.parametrize("schedule", FINE)
def test_schedule_that_fits_is_no_warning(load, base, schedule):
    assert load(scheduled(base, schedule)).warnings == ()


def test_rate_that_is_always_zero_is_refused(problems, base):
    @SCHEDULES.register(name="neverlr")
    class NeverLR:
        def __call__(self, iteration: int) -> float:
            return 0.0

    assert problems(scheduled(base, "{type: NeverLR}")) == [
        (17, "train.scheduler", "the rate is zero in every iteration: nothing is learned")
    ]
    assert problems(base.replace("lr: 1e-3", "lr: 0")) == [(17, "train.optim_g.lr", "must be greater than 0")]


def test_wrong_schedule_is_one_problem(problems, base):
    assert [key for _, key, _ in problems(scheduled(base, "{type: MultiStepLR, milestones: 3}"))] == [
        "train.scheduler.milestones"
    ]
