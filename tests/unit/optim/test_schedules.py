import math
import warnings

import pytest
import torch
from torch.optim import SGD, lr_scheduler

from traiNNer.errors import ConfigError
from traiNNer.optim.schedules import compose, finish, warmup
from traiNNer.registry import SCHEDULES

BASE = 3e-3
TOTAL = 300

CASES = [
    ("MultiStepLR", {"milestones": [100, 40, 250], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [50, 50, 299]}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.2, "total_iters": 77}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.01, "total_iters": 250}),
    ("CosineAnnealingLR", {"T_max": 300, "eta_min": 1e-5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 37, "eta_min": 1e-6}),
    ("CosineAnnealingWarmRestarts", {"T_0": 20, "T_mult": 2, "eta_min": 1e-4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 3}),
    ("OneCycleLR", {"max_lr": 3e-2, "total_steps": 300}),
    ("OneCycleLR", {"max_lr": 1e-3, "total_steps": 301, "pct_start": 0.13, "anneal_strategy": "linear"}),
    (
        "OneCycleLR",
        {"max_lr": 1e-3, "total_steps": 300, "three_phase": True, "div_factor": 3.0, "final_div_factor": 7.0},
    ),
    ("OneCycleLR", {"max_lr": 1e-3, "total_steps": 300, "pct_start": 0.0}),
]


def torch_rates(name, options, count):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE, momentum=0.9)
    scheduler = getattr(lr_scheduler, name)(optimizer, **options)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the order of step() calls
            scheduler.step()
    return rates


def build(name, options):
    return SCHEDULES.build(name, options, total_iter=TOTAL, base_lr=BASE)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_agrees_with_torch(name, options):
    schedule = build(name, options)
    rates = [BASE * schedule(iteration) for iteration in range(TOTAL)]
    # torch multiplies step by step, so its rounding errors grow; an absolute term covers rates that reach zero.
    assert rates == pytest.approx(torch_rates(name, options, TOTAL), rel=1e-12, abs=1e-18)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_depends_only_on_the_iteration(name, options):
    schedule = build(name, options)
    forward = [schedule(iteration) for iteration in range(0, TOTAL, 7)]
    assert [schedule(iteration) for iteration in reversed(range(0, TOTAL, 7))] == forward[::-1]


def run_of(make, count):
    """Return the rates of a scheduler of torch, made for an optimizer."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the order of step() calls
        scheduler, rates = make(optimizer), []
        for _ in range(count):
            rates.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    return rates


def test_restarts_are_torchs_cosines_one_after_the_other():
    def cosine(length):
        return run_of(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, length, eta_min=3e-5), length + 1)

    schedule = build("CosineAnnealingRestartLR", {"periods": [60, 100, 140], "eta_min": 3e-5})
    # An iteration at which a period ends belongs to it, so the first of the next is one step past its start.
    expected = [*cosine(60), *cosine(100)[1:], *cosine(140)[1:]]
    assert [BASE * schedule(iteration) for iteration in range(301)] == pytest.approx(expected, rel=1e-9)
    assert schedule(300) == schedule(5000) == pytest.approx(0.01, rel=1e-12)


def test_restarts_begin_at_their_weights():
    options = {"periods": [100, 200], "restart_weights": [1, 0.5], "eta_min": 3e-5}
    schedule = build("CosineAnnealingRestartLR", options)
    assert schedule(0) == pytest.approx(1, rel=1e-12)
    # The weight is of the part above eta_min, as in BasicSR.
    assert schedule(200) == pytest.approx(0.01 + 0.5 * 0.99 / 2, rel=1e-12)


def test_restarts_need_a_weight_for_each_period():
    with pytest.raises(ConfigError, match="restart_weights has 1 numbers for 2 periods"):
        build("CosineAnnealingRestartLR", {"periods": [100, 200], "restart_weights": [1]})


def test_warmup_stable_decay_agrees_with_torchs_parts():
    def parts(optimizer):
        up = lr_scheduler.LinearLR(optimizer, start_factor=1 / 20, total_iters=19)
        flat = lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)
        down = lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.01, total_iters=60)
        return lr_scheduler.SequentialLR(optimizer, [up, flat, down], milestones=[20, 240])

    schedule = build("WarmupStableDecayLR", {"warmup_iters": 20, "eta_min": 3e-5})
    rates = [BASE * schedule(iteration) for iteration in range(TOTAL)]
    assert rates == pytest.approx(run_of(parts, TOTAL), rel=1e-9)


def test_warmup_stable_decay_has_other_falls():
    falls = {
        kind: build("WarmupStableDecayLR", {"decay_iters": 100, "decay_type": kind}) for kind in ("cosine", "sqrt")
    }
    for schedule in falls.values():
        assert [schedule(iteration) for iteration in (0, 200, 300, 400)] == pytest.approx([1, 1, 0, 0], abs=1e-12)
    assert falls["cosine"](250) == pytest.approx(0.5)
    assert falls["sqrt"](225) == pytest.approx(0.5)  # one minus the root of a quarter


def test_cosine_stays_at_its_end():
    schedule = build("CosineAnnealingLR", {"T_max": 100, "eta_min": 3e-5})
    assert schedule(99) > schedule(100)
    assert schedule(100) == pytest.approx(0.01, rel=1e-12)
    assert schedule(150) == schedule(299) == schedule(100)


def test_one_cycle_stays_at_its_end():
    schedule = build("OneCycleLR", {"total_steps": 100})
    assert schedule(500) == schedule(100) == pytest.approx(1 / 25 / 1e4, rel=1e-12)


def test_lengths_and_rates_default_to_the_run():
    cosine = build("CosineAnnealingLR", {})
    assert [cosine(0), cosine(TOTAL // 2), cosine(TOTAL)] == pytest.approx([1, 0.5, 0], abs=1e-15)
    cycle = build("OneCycleLR", {})
    assert max(cycle(iteration) for iteration in range(TOTAL)) == pytest.approx(1, abs=1e-3)
    assert cycle(TOTAL - 1) == pytest.approx(1 / 25 / 1e4, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_one_cycle_of_a_few_steps(steps):
    cycle = build("OneCycleLR", {"total_steps": steps, "three_phase": True})
    assert all(math.isfinite(cycle(iteration)) and 0 < cycle(iteration) <= 1 for iteration in range(8))


def test_warmup_is_linear_and_ends_at_one():
    assert [warmup(iteration, 4) for iteration in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup(0, 0) == 1.0


def test_warmup_multiplies_the_schedule():
    schedule = build("MultiStepLR", {"milestones": [2], "gamma": 0.5})
    assert [compose(schedule, 4)(iteration) for iteration in range(5)] == [0.25, 0.5, 0.375, 0.5, 0.5]
    assert [compose(None, 2)(iteration) for iteration in range(3)] == [0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MultiStepLR", {}),
        ("MultiStepLR", {"milestones": []}),
        ("MultiStepLR", {"milestones": [1.5]}),
        ("CosineAnnealingLR", {"t_max": 10}),
        ("CosineAnnealingLR", {"T_max": 0}),
        ("CosineAnnealingLR", {"base_lr": 1.0}),
        ("OneCycleLR", {"anneal_strategy": "cosine"}),
        ("ConstantLR", {"factor": 2.0}),
        ("CosineAnnealingRestartLR", {"periods": []}),
        ("WarmupStableDecayLR", {"decay_type": "root"}),
    ],
)
def test_wrong_options_are_refused(name, options):
    with pytest.raises(ValueError, match="validation error"):
        SCHEDULES[name].options.parse(options)


def test_finish_is_a_line_to_zero_over_the_last_30_percent():
    assert [finish(iteration, 100) for iteration in (0, 69, 70, 85, 100, 120)] == pytest.approx([1, 1, 1, 0.5, 0, 0])
    assert finish(69, 100) == 1.0  # exactly: a run that ends here is the same bit for bit
