import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.automations import learning_rate_rules as rules
from traiNNer.automations.learning_rate import CosineParams, IntelligentLearningRateScheduler, ScheduleFallback
from traiNNer.automations.statistics import Mean, ols_slope, sen_slope, student_quantile, trimmed_mean
from traiNNer.engine.control.events import (
    KeepSnapshot,
    KnobChanged,
    Rollback,
    RunStarted,
    Say,
    SetKnob,
    Step,
    StepFailed,
    ValidationFinished,
    WindowFinished,
)
from traiNNer.engine.control.knobs import Knobs
from traiNNer.registry import AUTOMATIONS

TOTAL = 20_000


class Loop:
    """A minimal training loop; `level(iteration)` is the true signal, None for a skipped step."""

    def __init__(self, level, noise=0.0, run=None, score=None, window=None, seed=0, **options):
        self.automation = IntelligentLearningRateScheduler(**{"plateau_patience": 400, **options})
        self.run = run or RunStarted(TOTAL, 8, losses={"l1": 1.0}, metrics={"val/psnr": "higher"})
        self.automation.attach(Knobs(losses=("l1", "ssim")))
        for name, wanted in self.automation.ranges(self.run).items():
            self.automation.knobs[name].configure(wanted)
        self.level, self.score, self.window = level, score, window or self.automation.every
        self.noise = noise * np.random.default_rng(seed).standard_normal(TOTAL)
        self.log, self.at = [], 0
        self.apply(self.automation.on_start(self.run))

    def apply(self, decisions):
        for decision in decisions:
            self.log.append((self.at, decision))
            if isinstance(decision, SetKnob):
                self.move(decision.knob, decision.value)

    def move(self, name, value):
        knob = self.automation.knobs[name]
        old, new = knob.value, knob.clamp(value)
        if abs(new - old) >= 0.01 * old:
            knob.set(new, self.at)
            self.automation.on_change(KnobChanged(self.at, name, old, new))

    def step(self, iteration):
        signal = self.level(iteration)
        if signal is None:
            return Step(False, math.nan, math.nan)
        return Step(True, 1.0, math.exp(signal + self.noise[iteration - 1]))

    def go(self, until):
        while self.at < until:
            first, self.at = self.at + 1, min(until, self.at + self.window - self.at % self.window)
            steps = [self.step(iteration) for iteration in range(first, self.at + 1)]
            self.apply(self.automation.on_window(WindowFinished(self.at, steps)))
            if self.score and self.at % 100 == 0:
                self.apply(
                    self.automation.on_validation(ValidationFinished(self.at, {"val/psnr": self.score(self.at)}))
                )
        return self

    def of(self, kind, reason=""):
        return [(at, item) for at, item in self.log if isinstance(item, kind) and reason in getattr(item, "reason", "")]

    def moves(self, reason=""):
        return [(at, item.value) for at, item in self.of(SetKnob, reason)]


def flat(_):
    return 0.0


def falling(rate):
    return lambda iteration: -rate * iteration / 400


def rising(at, size=0.5):
    """Rise by `size` within 50 iterations from a slow fall."""
    return lambda iteration: falling(0.01)(iteration) + size * min(1.0, max(0.0, (iteration - at) / 50))


# Statistics


def test_trimmed_mean_drops_the_ends_and_knows_its_error():
    values = [1000.0, -1000.0, *[1.0, 2.0, 3.0, 4.0] * 5]
    mean = trimmed_mean(values)
    assert mean.value == pytest.approx(np.mean(sorted(values)[2:-2]))
    draws = np.random.default_rng(0).standard_normal((4000, 50))
    means = [trimmed_mean(list(row)) for row in draws]
    assert np.std([mean.value for mean in means]) == pytest.approx(np.mean([mean.se for mean in means]), rel=0.04)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=60), st.floats(0.1, 4))
@settings(deadline=None, max_examples=60)
def test_slope_and_its_error_are_the_matrix_formula(values, spacing):
    x = np.stack([np.ones(len(values)), np.arange(len(values)) * spacing], axis=1)
    beta = np.linalg.lstsq(x, values, rcond=None)[0]
    rest = values - x @ beta
    covariance = rest @ rest / (len(values) - 2) * np.linalg.inv(x.T @ x)
    slope = ols_slope(values, spacing)
    assert slope.value == pytest.approx(beta[1], abs=1e-9)
    assert slope.se == pytest.approx(math.sqrt(covariance[1, 1]), abs=1e-9)


def test_slope_ignores_nan():
    line = [2.0 * x for x in range(10)]
    line[3] = line[7] = math.nan
    assert ols_slope(line) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-9), 8)
    assert math.isnan(ols_slope([math.nan] * 5).value)


def test_students_quantile_is_wider_than_the_normal_one():
    assert student_quantile(10, 0.975) == pytest.approx(2.2281388520)
    assert student_quantile(10**6, rules.NORMAL[3]) == pytest.approx(3.0, abs=1e-3)
    assert student_quantile(10**6, rules.NORMAL[4]) == pytest.approx(4.0, abs=1e-3)
    assert student_quantile(0, 0.975) == math.inf


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=20))
@settings(deadline=None, max_examples=40)
def test_sen_slope_is_the_median_of_all_pairs(values):
    pairs = [(values[j] - values[i]) / (j - i) for j in range(len(values)) for i in range(j)]
    low, middle, high = sen_slope(range(len(values)), values, 0.9)
    assert middle == pytest.approx(np.median(pairs))
    assert low <= middle <= high
    assert sen_slope(range(len(values)), values, 0.99)[0] <= low
    assert sen_slope(range(len(values)), [-v for v in values], 0.9) == pytest.approx((-high, -middle, -low))


def test_sens_interval_covers():
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        low, _, high = sen_slope(range(10), 0.3 * np.arange(10) + random.standard_normal(10), 0.9)
        inside += low <= 0.3 <= high
    assert 0.87 < inside / 400 < 0.97
    assert sen_slope([0, 1], [0, 1]) == (-math.inf, 1.0, math.inf)


# Plateaus


def test_rate_is_reduced_on_flat_loss_only():
    assert [value for _, value in Loop(flat, 0.005).go(6000).moves("plateau")][:1] == [pytest.approx(0.93, abs=0.06)]
    assert not Loop(falling(0.01), 0.005).go(9000).moves()


def test_no_decision_when_noise_hides_the_answer():
    assert not Loop(flat, 0.3).go(8000).moves()


def test_nothing_before_warmup_and_patience():
    run = RunStarted(TOTAL, 8, warmup_iter=2000, losses={"l1": 1.0})
    first = Loop(flat, 0.001, run).go(6000).moves("plateau")[0][0]
    assert 2000 + 2 * 400 <= first < 2000 + 4 * 400
    assert Loop(flat, 0.001).go(6000).moves("plateau")[0][0] < 2000


def test_cooldown_separates_two_reductions():
    at = [at for at, _ in Loop(flat, 0.0005).go(6000).moves("plateau")]
    assert min(np.diff(at)) >= 200 + 400


def test_plateau_stays_above_linear_decay():
    moves = Loop(flat, 0.001).go(TOTAL).moves("plateau")
    assert moves
    for at, value in moves:
        assert value >= min(1.0, 1 - at / TOTAL) - 1e-9


def test_envelope_does_not_reduce_a_decaying_schedule():
    def line(iteration):
        return 1 - iteration / TOTAL

    assert rules.envelope(5000, TOTAL, 0, line) == pytest.approx(1.0)
    assert rules.envelope(5000, TOTAL, 0, lambda _: 1.0) == pytest.approx(0.75)
    assert rules.envelope(5000, TOTAL, 0, lambda _: 0.0) == 1.0
    run = RunStarted(TOTAL, 8, losses={"l1": 1.0}, schedule=line, has_schedule=True)
    assert not Loop(flat, 0.001, run).go(TOTAL // 2).moves()


def test_schedule_step_restarts_the_windows():
    run = RunStarted(TOTAL, 8, losses={"l1": 1.0}, schedule=lambda i: 1.0 if i < 1100 else 0.85, has_schedule=True)
    loop = Loop(falling(0.02), 0.001, run).go(1150)
    assert loop.automation.blocks.opened == 1100
    assert len(loop.automation.blocks.levels) == 1


@pytest.mark.parametrize("knob", ["batch_size", "lr_batch", "loss_weight.ssim", "lr_factor"])
def test_other_moves_restart_the_windows(knob):
    loop = Loop(falling(0.005), 0.001).go(1000)
    assert loop.automation.blocks.levels
    loop.automation.on_change(KnobChanged(1000, knob, 1.0, 2.0))
    assert loop.automation.blocks.levels == []
    assert loop.automation.blocks.opened == 1000 + {"lr_batch": 200, "lr_factor": 200}.get(knob, 0)


def test_clipping_does_not_restart_the_windows():
    loop = Loop(falling(0.005), 0.001).go(1000)
    loop.automation.on_change(KnobChanged(1000, "grad_clip", 1.0, 2.0))
    assert loop.automation.blocks.levels


def test_frozen_knob_takes_no_requests():
    loop = Loop(flat, 0.001)
    loop.automation.knobs["lr_factor"].is_frozen = True
    assert not loop.go(6000).moves()


# Options: changing one changes a decision


def test_plateau_patience_and_blocks():
    assert [IntelligentLearningRateScheduler(plateau_patience=n).every for n in (1, 40, 200, 1000)] == [1, 10, 50, 50]
    early, late = (Loop(flat, 0.001, plateau_patience=n).go(6000).moves("plateau")[0][0] for n in (200, 800))
    assert early < late


def test_improvement_threshold():
    slow = falling(0.002)
    assert not Loop(slow, 0.001, improvement_threshold=0.0001).go(4000).moves()
    assert Loop(slow, 0.001, improvement_threshold=0.004).go(4000).moves("plateau")


def test_adaptation_threshold_sets_the_horizon():
    slow = falling(0.002)
    assert not Loop(slow, 0.001, adaptation_threshold=0.02).go(4000).moves()
    assert Loop(slow, 0.001, adaptation_threshold=0.2).go(4000).moves("plateau")


def test_adaptation_threshold_sets_the_rise():
    assert Loop(rising(2025, 0.2), 0.002).go(3000).of(Rollback)
    assert not Loop(rising(2025, 0.2), 0.002, adaptation_threshold=0.3).go(3000).of(Rollback)


def test_reduction_factor():
    def last(factor):
        return Loop(flat, 0.001, reduction_factor=factor).go(TOTAL).moves("plateau")

    assert min(value for _, value in last(0.99) or [(0, 1.0)]) > min(value for _, value in last(0.5))


def test_min_lr_factor():
    low, high = (
        Loop(flat, 0.001, min_lr_factor=least).go(TOTAL).automation.knobs["lr_factor"].value for least in (0.1, 0.6)
    )
    assert low < 0.2
    assert 0.6 <= high < 0.606


def test_raise_factor_and_max_lr_factor():
    def fast(iteration):
        return -0.1 * iteration / 400

    for factor, most, expected in ((1.25, 2.0, 1.25), (1.5, 2.0, 1.5), (1.5, 1.1, 1.1)):
        moves = Loop(fast, 0.001, raise_factor=factor, max_lr_factor=most).go(1500).moves("trial")
        assert moves[0][1] == pytest.approx(expected)
    assert not Loop(fast, 0.001, max_lr_factor=1.0).go(4000).moves()


def test_monitor_loss_and_monitor_validation():
    def rising_score(at):
        return 30 + at / 1000

    assert Loop(flat, 0.001, score=rising_score, monitor_validation=False).go(4000).moves("plateau")
    assert not Loop(flat, 0.001, score=rising_score).go(4000).moves()
    assert Loop(flat, 0.001, score=lambda _: 30.0).go(4000).moves("plateau")
    alone = Loop(falling(0.1), 0.001, score=lambda _: 30.0, monitor_loss=False).go(4000)
    assert alone.moves("plateau")
    assert not Loop(flat, 0.001, score=rising_score, monitor_loss=False).go(4000).moves()
    assert alone.automation.needs == "val/psnr"
    assert Loop(flat).automation.needs == "signal"


def test_rollback():
    back, stay = (Loop(rising(2025, 0.3), 0.002, rollback=flag).go(2200) for flag in (True, False))
    assert len(back.of(Rollback)) == 1
    assert not stay.of(Rollback)
    assert stay.moves("divergence")[0] == back.moves("divergence")[0]
    assert stay.of(SetKnob, "divergence")[0][1].forced


def test_log_every():
    often, seldom = (Loop(falling(0.01), 0.01, log_every=n).go(10_000).of(Say) for n in (1000, 5000))
    assert 8 <= len(often) <= 11
    assert len(seldom) <= 3


def test_fallback():
    automation = IntelligentLearningRateScheduler(
        fallback=ScheduleFallback(scheduler_params=CosineParams(eta_min=1e-5))
    )
    fallback = automation.ranges(RunStarted(1000, 8, base_lr=1e-4))["lr_factor"].fallback
    assert [fallback(at) for at in (0, 500, 1000, 2000)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    plain = IntelligentLearningRateScheduler().ranges(RunStarted(1000, 8))["lr_factor"].fallback
    assert plain(1000) == pytest.approx(0.0)
    assert automation.ranges(RunStarted(1000, 8, has_schedule=True))["lr_factor"].fallback == 1.0
    short = IntelligentLearningRateScheduler(fallback=ScheduleFallback(scheduler_params=CosineParams(T_max=77)))
    fallback = short.ranges(RunStarted(1000, 8))["lr_factor"].fallback
    assert fallback(77) == plain(77) > 0.9  # T_max is always total_iter; the check of the file says so


def test_max_adjustments_is_left_to_the_host():
    assert IntelligentLearningRateScheduler(max_adjustments=3).max_adjustments == 3


def test_signature_is_the_schema():
    component = AUTOMATIONS["intelligent_learning_rate_scheduler"]
    automation = component.build({"fallback": {"scheduler_params": {"eta_min": 1e-6}}, "rollback": False})
    assert automation.fallback.scheduler_params == CosineParams(eta_min=1e-6)
    assert not automation.rollback


# Raises


def test_rate_increase_is_kept_if_useful_and_reverted_otherwise():
    def course(loop_factor):
        position = [0.0]

        def level(_):
            factor = holder[0].automation.knobs["lr_factor"].value if holder else 1.0
            position[0] -= 0.0002 * loop_factor(factor)
            return position[0]

        holder = []
        holder.append(Loop(level, 0.001))
        return holder[0].go(3600)

    helped, hurt = course(lambda factor: factor), course(lambda factor: 1 / factor**2)
    assert helped.moves("trial")
    assert not helped.moves("did not help")
    back = hurt.of(SetKnob, "did not help")
    assert len(back) == 1
    assert back[0][1].value == 1.0
    assert back[0][1].forced
    assert len(hurt.moves("trial")) == 1


def test_no_raise_later_or_after_a_reduction():
    times = [at for at, _ in Loop(falling(0.1), 0.001).go(TOTAL).moves("trial")]
    assert times
    assert max(times) < 0.2 * TOTAL
    loop = Loop(falling(0.1), 0.001)
    loop.automation.may_raise = False
    assert not loop.go(3000).moves("trial")


# Divergence


def test_snapshots_are_taken_at_start_and_at_spaced_new_bests():
    loop = Loop(falling(0.05), 0.001).go(2000)
    at = [at for at, _ in loop.of(KeepSnapshot)]
    assert at[:2] == [0, 200]  # half a patience: until then the learning rate is unproven
    assert min(np.diff(at[1:])) >= 100
    assert [at for at, _ in Loop(rising(0, 0.05)).go(1500).of(KeepSnapshot)] == [0]


def test_long_patience_does_not_delay_the_first_snapshot():
    """A divergence in the middle must not roll back to the start."""
    loop = Loop(falling(0.05), 0.001, plateau_patience=2000).go(600)
    assert [at for at, _ in loop.of(KeepSnapshot)] == [0, 500]
    loop = Loop(falling(0.05), 0.001, plateau_patience=1000).go(600)
    assert [at for at, _ in loop.of(KeepSnapshot)] == [0, 250, 500]


def test_loss_rise_is_handled_within_three_checks():
    loop = Loop(rising(2000, 0.3), 0.002).go(2150)
    assert [at for at, _ in loop.of(Rollback)] == [2150]
    assert loop.moves() == [(2150, 0.5)]
    evidence = loop.of(Rollback)[0][1].evidence
    assert evidence["estimate"] > evidence["threshold"] > 0


def test_loss_rise_must_be_large_and_persistent():
    assert not Loop(rising(2000, 0.07), 0.002).go(2600).of(Rollback)
    assert not Loop(lambda i: falling(0.01)(i) + 0.3 * (2000 < i <= 2100), 0.002).go(2600).of(Rollback)


def test_rise_is_judged_against_the_noise():
    assert Loop(rising(2000, 0.2), 0.01).go(2400).of(Rollback)
    assert not Loop(rising(2000, 0.2), 0.35).go(2400).of(Rollback)


def test_explosion_within_the_first_block_is_detected():
    loop = Loop(lambda i: 0.0 if i <= 5 else 3.0, 0.01).go(50)
    assert [at for at, _ in loop.of(Rollback)] == [50]
    assert loop.moves("divergence") == [(50, 0.5)]


def test_transient_explosion_at_the_second_step_is_detected():
    """Every block is better than the previous one, so the best level alone would not detect it."""
    loop = Loop(lambda i: 0.0 if i == 1 else 2.0 * math.exp(-i / 100), 0.03).go(50)
    assert [at for at, _ in loop.of(Rollback)] == [50]


def test_high_falling_initial_loss_is_not_an_explosion():
    assert not Loop(lambda i: 3.0 * math.exp(-i / 100), 0.05).go(2000).of(Rollback)


def test_noise_is_not_an_explosion():
    for seed in range(20):
        assert not Loop(flat, 0.4, seed=seed).go(1000).of(Rollback)


def test_loss_50_percent_higher_for_ten_iterations_is_an_explosion():
    loop = Loop(lambda i: falling(0.01)(i) + 0.6 * (2010 < i <= 2020), 0.05).go(2600)
    assert [at for at, _ in loop.of(Rollback)] == [2050]
    assert not Loop(lambda i: falling(0.01)(i) + 0.6 * (2010 < i <= 2014), 0.05).go(2600).of(Rollback)
    assert not Loop(lambda i: falling(0.01)(i) + 0.3 * (2010 < i <= 2020), 0.05).go(2600).of(Rollback)


def test_explosion_is_detected_during_warmup():
    run = RunStarted(TOTAL, 8, warmup_iter=1000, losses={"l1": 1.0})
    assert [at for at, _ in Loop(lambda i: float(i > 420), 0.01, run).go(450).of(Rollback)] == [450]


def test_immediate_second_divergence_quarters_the_rate():
    loop = Loop(lambda i: 0.0 if i < 1000 else 1.0, 0.002).go(1100)
    assert loop.moves("divergence") == [(1050, 0.5), (1100, 0.125)]


def test_no_snapshot_of_a_block_that_ends_badly():
    at = [at for at, _ in Loop(lambda i: falling(0.1)(i) + (i > 95), 0.002).go(100).of(KeepSnapshot)]
    assert 100 not in at


def test_not_during_warmup():
    run = RunStarted(TOTAL, 8, warmup_iter=1000, losses={"l1": 1.0})
    assert [at for at, _ in Loop(rising(100, 0.3), 0.01, run).go(1150).of(Rollback)] == [1050]


def test_pixel_loss_may_rise_with_other_losses_present():
    run = RunStarted(TOTAL, 8, losses={"l1": 1.0, "gan": 0.1})
    assert not Loop(rising(2000, 0.3), 0.002, run).go(2600).of(Rollback)
    assert Loop(rising(2000, 0.6), 0.002, run).go(2600).of(Rollback)


def test_three_rollbacks_then_only_the_factor():
    loop = Loop(lambda i: 0.0 if i < 1000 else i / 500, 0.002).go(4000)
    assert len(loop.of(Rollback)) == 3
    assert loop.automation.knobs["lr_factor"].value == 0.1
    assert loop.automation.summary().startswith("0 adjustments, 3 rollbacks, factor 0.1")


def test_after_a_rollback_the_same_test_works_again():
    holder = []

    def level(iteration):
        loop = holder[0] if holder else None
        back = [at for at, _ in loop.of(Rollback)] if loop else []
        calm = back and (len(back) > 1 or iteration <= 2600)
        return falling(0.01)(iteration) if calm else rising(2000, 0.3)(iteration)

    holder.append(Loop(level, 0.002))
    assert [at for at, _ in holder[0].go(4000).of(Rollback)] == [2150, 2750]


def test_new_loss_weight_is_a_new_level():
    loop = Loop(lambda i: 0.0 if i <= 1000 else 0.6, 0.002).go(1000)
    loop.automation.on_change(KnobChanged(1000, "loss_weight.ssim", 1.0, 2.0))
    loop.go(2000)
    assert not loop.of(Rollback)
    assert loop.of(KeepSnapshot)[-1][0] >= 1050


def test_nonfinite_losses_take_the_same_path():
    loop = Loop(lambda i: None if i > 1997 else falling(0.01)(i), 0.002).go(2000)
    assert [at for at, _ in loop.of(Rollback)] == [2000]
    assert loop.moves() == [(2000, 0.5)]
    assert not Loop(lambda i: None if i > 1998 else 0.0, 0.002).go(2000).of(Rollback)
    only_halved = Loop(lambda i: None if i > 1997 else falling(0.01)(i), 0.002, rollback=False).go(2000)
    assert only_halved.moves() == [(2000, 0.5)]
    assert not only_halved.of(Rollback)


def test_skipped_steps_with_finite_loss_have_a_longer_limit():
    skipped = Step(False, math.inf, 1.0)
    for count, expected in ((10, False), (11, True)):
        loop = Loop(flat)
        loop.apply(loop.automation.on_window(WindowFinished(count, [skipped] * count)))
        assert bool(loop.of(Rollback)) is expected


def test_failed_step_is_retried_three_times():
    loop = Loop(flat, 0.002).go(1000)
    for _ in range(5):
        loop.apply(loop.automation.on_failure(StepFailed(1001, "not finite")))
    assert len(loop.of(Rollback)) == 3
    assert not list(loop.automation.on_failure(StepFailed(1001, "out of memory")))


def test_schedule_free_optimizers_are_only_guarded():
    for name in ("AdamWScheduleFree", "Prodigy"):
        run = RunStarted(TOTAL, 8, optimizer=name, losses={"l1": 1.0})
        assert not Loop(flat, 0.001, run).go(6000).moves()
        assert Loop(rising(2000), 0.002, run).go(2400).of(Rollback)


# Missing values, other windows, resuming


def test_no_decision_on_missing_values():
    loop = Loop(flat, 0.001)
    for end in range(50, 6001, 50):
        loop.apply(loop.automation.on_window(WindowFinished(end, [Step(True, math.nan, math.nan)] * 50)))
        loop.apply(loop.automation.on_validation(ValidationFinished(end, {"val/psnr": math.nan} if end % 100 else {})))
    assert [type(item) for _, item in loop.log] == [KeepSnapshot]


def test_block_with_few_values_is_ignored():
    loop = Loop(lambda i: None if 1000 < i <= 1026 else falling(0.01)(i), 0.001).go(1100)
    assert math.isnan(loop.automation.blocks.levels[-2])
    assert math.isfinite(loop.automation.blocks.levels[-1])


@pytest.mark.parametrize("window", [1, 7, 10, 50])
def test_windows_of_other_lengths_change_nothing(window):
    def decisions(length):
        loop = Loop(rising(2400), 0.003, window=length)
        if length == 7:
            loop.window = 5
        return [(at, type(item).__name__) for at, item in loop.go(4000).log]

    assert decisions(window) == decisions(50)


@pytest.mark.parametrize("cut", [130, 775, 1650, 2150, 2222, 3010])
def test_resumed_run_decides_the_same(cut):
    def score(at):
        return 30.0

    def make():
        return Loop(
            lambda i: -0.1 * min(i, 1500) / 400 + rising(2025)(i) - rising(2150)(i), 0.003, score=lambda _: 30.0
        )

    whole, first, second = make().go(6000), make().go(cut), make()
    memory = json.loads(
        json.dumps({"automation": first.automation.state_dict(), "knob": first.automation.knobs.state_dict()})
    )
    second.automation.load_state_dict(memory["automation"])
    second.automation.knobs.load_state_dict(memory["knob"], second.automation.knobs)
    second.at, second.log = cut, []
    resumed = RunStarted(TOTAL, 8, iteration=cut, losses={"l1": 1.0}, metrics={"val/psnr": "higher"})
    second.apply(second.automation.on_start(resumed))
    second.go(6000)
    tail = [(at, item) for at, item in whole.log if at > cut]
    assert len(tail) > 3
    assert second.log == tail


@given(st.lists(st.one_of(st.floats(-3, 3), st.just(math.nan)), min_size=20, max_size=40), st.integers(0, 3))
@settings(deadline=None, max_examples=15)
def test_factor_stays_within_its_bounds(levels, seed):
    loop = Loop(lambda i: levels[i // 50 % len(levels)], 0.01, seed=seed)
    for _, decision in loop.go(2000).of(SetKnob):
        assert 0.1 <= decision.value <= 2.0
        assert all(isinstance(value, (int, float)) for value in decision.evidence.values())
    assert len(loop.of(Rollback)) <= 3


def test_memory_is_bounded():
    loop = Loop(falling(0.01), 0.01, score=lambda at: at / 1000).go(TOTAL)
    assert len(loop.automation.blocks.levels) == 16 * 400 // 50
    assert len(loop.automation.scores) <= 64
    assert len(json.dumps(loop.automation.state_dict())) < 10_000


@pytest.mark.parametrize(
    ("metric", "better", "worse_value", "better_value"),
    [("val/psnr", "higher", 30, 31), ("val/ssim", "higher", 0.8, 0.9), ("val/lpips", "lower", 0.3, 0.2)],
)
def test_scores_are_read_as_errors(metric, better, worse_value, better_value):
    assert rules.log_error(metric, better, better_value) < rules.log_error(metric, better, worse_value)
    assert math.isnan(rules.log_error("val/ssim", "higher", 1.5))


def test_silence_is_explained_once():
    said = [item.text for _, item in Loop(flat, 0.3).go(6000).of(Say)]
    assert sum("a plateau cannot be proven before about" in text for text in said) == 1


def test_level_state_round_trips():
    level = rules.Level()
    level.rise(Mean(1.0, 0.1), 0.02)
    level.is_best(Mean(1.0, 0.1))
    again = rules.Level()
    again.load_state_dict(level.state_dict())
    assert again == level
