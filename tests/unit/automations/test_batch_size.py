import math
import pickle
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.automations.batch_size import (
    GROW,
    NO_GAIN,
    PROBE,
    PROBED,
    SHRINK,
    BatchFallback,
    DynamicBatchSizeOptimizer,
)
from traiNNer.automations.memory_model import fit, halves, reach, split, splits
from traiNNer.engine.control.events import (
    Disable,
    KnobChanged,
    RunStarted,
    Say,
    SetKnob,
    Step,
    StepFailed,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, LR_BATCH, MICRO_BATCH, Knobs
from traiNNer.engine.control.slot import reversals
from traiNNer.engine.runtime.memory import Memory
from traiNNer.registry import AUTOMATIONS

TOTAL = 10_000
STEP = Step(True, 1.0, 1.0)


class Device:
    """A small host: a device whose peak is `fixed + per_image * size` beside `others`, and a log of the decisions."""

    def __init__(self, automation=None, batch=8, others=500, fixed=1000, per_image=400, seconds=None, **run):
        self.automation = automation or DynamicBatchSizeOptimizer()
        self.batch, self.others, self.fixed, self.per_image = batch, others, fixed, per_image
        self.seconds = seconds or (lambda images: 1.0)
        self.retries, self.iteration, self.log, self.adjustments = 0, 0, [], 0
        self.run = RunStarted(**({"total_iter": 10**6, "batch_size": batch, "has_memory": True} | run))
        self.knobs = Knobs(batch_size=batch)
        self.automation.attach(self.knobs)
        self.ranges = self.automation.ranges(self.run)
        for name, wanted in self.ranges.items():
            self.knobs[name].configure(wanted)
        self.said = list(self.automation.on_start(self.run))

    @property
    def size(self):
        return split(int(self.knobs[BATCH_SIZE].value), int(self.knobs[MICRO_BATCH].value))[0]

    def apply(self, decisions):
        decisions = list(decisions)
        self.log += [(self.iteration, decision) for decision in decisions]
        for decision in decisions:
            if not isinstance(decision, SetKnob):
                continue
            knob = self.knobs[decision.knob]
            old, new = knob.value, knob.clamp(decision.value)
            if new == old or (knob.is_frozen and not decision.forced):
                continue
            knob.set(new, self.iteration)
            self.adjustments += not decision.forced
            knob.is_frozen = not decision.forced and self.adjustments >= self.automation.max_adjustments
            self.automation.on_change(KnobChanged(self.iteration, decision.knob, old, new))
        return decisions

    def memory(self):
        reserved = self.fixed + self.per_image * self.size
        return Memory(TOTAL, self.others + reserved, reserved, self.retries)

    def window(self, length=10, memory=None, seconds=None):
        self.iteration += length
        seconds = self.seconds(self.knobs[BATCH_SIZE].value) if seconds is None else seconds
        batch = int(self.knobs[BATCH_SIZE].value)
        event = WindowFinished(self.iteration, [STEP] * length, seconds, memory or self.memory(), batch)
        return self.apply(self.automation.on_window(event))

    def go(self, iterations):
        for _ in range(iterations // 10):
            self.window()
        return self.moves()

    def fail(self):
        return self.apply(self.automation.on_failure(StepFailed(self.iteration, "out of memory")))

    def moves(self, knob=MICRO_BATCH):
        """Return the requested values of a knob with iteration and reason."""
        found = [(at, decision) for at, decision in self.log if isinstance(decision, SetKnob)]
        return [(at, wish.value, wish.reason) for at, wish in found if wish.knob == knob]


def growing(**options):
    return DynamicBatchSizeOptimizer(effective_batch="grow", **options)


def test_no_decision_while_old_size_batches_still_arrive():
    device = Device(growing(), seconds=lambda images: images)  # time proportional to the batch
    device.go(100)
    assert device.size == 14
    for _ in range(10):  # requested, but batches of 8 still arrive
        device.iteration += 10
        memory = Memory(TOTAL, 4700, 4200)
        device.apply(device.automation.on_window(WindowFinished(device.iteration, [STEP] * 10, 8.0, memory, 8)))
    assert 14 not in device.automation.peaks
    assert device.size == 14
    device.go(300)
    assert device.size == 8


def test_nothing_is_concluded_from_crops_that_are_still_small():
    small = [KnobChanged(3000, "crop_size", 16, 24)]
    device = Device(fixed=100, per_image=50, changes=small)
    device.fail()
    assert device.size == 2  # a step that does not fit is still halved
    device.go(2900)
    assert device.automation.peaks == {}
    device.per_image = 900
    device.go(2000)
    assert max(device.automation.peaks[2]) == 100 + 2 * 900


# The memory model


@given(st.integers(1, 300), st.integers(1, 300))
def test_split_is_complete_balanced_and_minimal(batch, most):
    parts = split(batch, most)
    assert sum(parts) == batch
    assert max(parts) <= most
    assert max(parts) - min(parts) <= 1
    assert len(parts) == -(-batch // most)


def test_sizes_of_the_parts():
    assert split(8, 6) == [4, 4]
    assert split(8, 3) == [3, 3, 2]
    assert splits(8, 1, 8) == [1, 2, 3, 4, 8]
    assert splits(8, 3, 8) == [3, 4, 8]
    assert splits(64, 1, 32)[-1] == 32
    assert splits(8, 5, 7) == [7]
    assert halves(12, 1, 12) == [1, 2, 3, 6, 12]
    assert halves(12, 2, 8) == [2, 3, 6]


@given(
    st.integers(0, 10**10),
    st.integers(10**3, 10**9),
    st.lists(st.integers(1, 64), min_size=2, max_size=6, unique=True),
    st.integers(1, 128),
)
def test_line_is_found(fixed, per_image, sizes, size):
    line = fit({other: [0.5 * fixed, fixed + per_image * other] for other in sizes})
    assert line.at(size) == pytest.approx(fixed + per_image * size, rel=1e-5)


@given(
    st.dictionaries(
        st.integers(1, 64), st.lists(st.integers(1, 10**10), min_size=1, max_size=3), min_size=1, max_size=6
    )
)
def test_fitted_peak_is_an_upper_bound_and_monotonic(peaks):
    line = fit(peaks)
    assert line.fixed >= 0
    assert line.per_image >= 0
    assert all(line.at(size) >= max(kept) * (1 - 1e-9) for size, kept in peaks.items())


@given(st.integers(0, 10**10), st.integers(0, 10**9), st.integers(1, 32), st.integers(0, 64))
def test_one_size_bounds_every_larger_one(fixed, per_image, size, more):
    line = fit({size: [fixed + per_image * size]})
    assert line.at(size + more) >= (fixed + per_image * (size + more)) * (1 - 1e-9)


def test_reach_is_twice_the_largest_and_twice_the_span():
    assert reach([8]) == 16
    assert reach([4, 8]) == 16
    assert reach([8, 10]) == 14
    assert reversals([1, 1, -1, 1]) == 2


# Growing


def test_grows_to_the_largest_size_below_target_minus_margin():
    # 500 + 1000 + 400 b: 16 are 79 %, 17 would be 83 %. From 8 alone, an image may take up to 4200 / 8.
    device = Device(growing())
    assert device.go(1000) == [(100, 14, GROW), (200, 16, GROW)]
    assert device.moves(BATCH_SIZE) == [(100, 14, GROW), (200, 16, GROW)]
    assert device.memory().used <= 0.8 * TOTAL < device.memory().used + device.per_image


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 5000), st.integers(20, 900))
def test_stays_between_target_minus_reach_and_target(others, fixed, per_image):
    device = Device(growing(), others=others, fixed=fixed, per_image=per_image)
    before = device.memory().used
    highest = 0
    for _ in range(150):
        device.window()
        highest = max(highest, device.memory().used)
    assert highest <= max(before, 0.8 * TOTAL)
    if before < 0.79 * TOTAL:
        assert device.size == 32 or device.memory().used + 2 * per_image > 0.79 * TOTAL


def test_half_the_size_is_measured_when_one_size_fills_memory():
    device = Device(growing(), others=500, fixed=5000, per_image=200)  # 71 % at 8
    assert device.go(1000) == [(100, 4, PROBE), (200, 12, GROW)]
    assert device.moves(BATCH_SIZE) == [(200, 12, GROW)]


def test_returns_from_a_measurement_without_free_memory():
    device = Device(growing(), others=500, fixed=2000, per_image=660)  # 77.8 % at 8, 84.4 % at 9
    assert device.go(1000) == [(100, 4, PROBE), (200, 8, PROBED)]


def test_holds_between_aim_and_target():
    device = Device(growing(), others=500, fixed=4000, per_image=450)  # 81 %
    assert device.go(1000) == []


@pytest.mark.parametrize("mode", ["preserve", "grow"])
def test_shrinks_when_more_than_the_target_is_in_use(mode):
    device = Device(DynamicBatchSizeOptimizer(effective_batch=mode), fixed=5000, per_image=400)  # 87 %
    assert device.go(1000) == [(100, 4, SHRINK)]


def test_shrinks_for_another_process_and_grows_back():
    device = Device(growing())
    device.go(500)
    device.others += 2000
    assert device.go(200)[-1] == (600, 11, SHRINK)
    assert device.moves(BATCH_SIZE)[-1][1] == 11
    device.others -= 2000
    assert device.go(300)[-1][1:] == (16, GROW)


def test_shrinks_below_the_loaders_batch_only_by_splitting():
    device = Device(growing())
    device.go(500)
    device.others += 5500  # room for 2 images
    device.go(300)
    assert device.size == 2
    assert device.knobs[BATCH_SIZE].value == 8
    assert device.knobs[LR_BATCH].value == 1.0


def test_fluctuating_neighbor_does_not_cause_endless_oscillation():
    device = Device(growing())
    for _ in range(20):
        device.go(200)
        device.others = 2500 if device.others == 500 else 500
    values = [8, *(value for _, value, _ in device.moves())]
    ways = [1 if new > old else -1 for old, new in pairwise(values)]
    assert 1 <= reversals(ways) < 4


@pytest.mark.parametrize(("speed", "kept"), [(1.02, 8), (1.04, 11), (0.5, 8)])
def test_larger_batch_must_be_faster(speed, kept):
    device = Device(growing(), seconds=lambda images: images / 8 / (1 if images == 8 else speed), per_image=523)
    device.go(2000)
    assert device.moves()[0][1:] == (11, GROW)
    assert device.size == device.knobs[BATCH_SIZE].value == kept
    assert device.knobs[LR_BATCH].value == pytest.approx(math.sqrt(kept / 8))
    assert device.moves()[-1][2] == NO_GAIN
    assert len(device.moves()) == (2 if kept == 8 else 3)  # 12 is not faster than 11


def test_unknown_times_keep_the_larger_batch():
    device = Device(growing(), seconds=lambda images: math.nan)
    assert [move[1] for move in device.go(1000)] == [14, 16]


def test_preserve_never_touches_batch_size_or_learning_rate():
    device = Device()
    device.go(1000)
    assert device.log == []
    assert set(device.ranges) == {MICRO_BATCH}
    assert device.ranges[MICRO_BATCH].high == 8


# Running out of memory


def test_oom_halves_and_is_not_counted():
    device = Device(batch=7, has_memory=False)
    (move,) = device.fail()
    assert (move.knob, move.value, move.reason, move.forced) == (MICRO_BATCH, 4, "out of memory", True)
    assert [device.fail()[0].value for _ in range(2)] == [2, 1]
    assert device.fail() == []
    assert device.adjustments == 0
    assert device.automation.summary() == "7 -> 7 micro-batches of at most 1 (4 out of memory)"


def test_too_large_start_fails_once_and_recovers():
    device = Device(per_image=1500)  # 8 do not fit, 4 do
    device.iteration = 1
    assert [move.value for move in device.fail()] == [2]
    device.go(1000)
    assert device.size == 4


def test_computed_micro_batch_is_halved():
    device = Device(has_memory=False)
    device.knobs[MICRO_BATCH].set(6, 0)  # computes 4+4
    assert device.fail()[0].value == 2


def test_failed_batch_size_is_never_tried_again():
    device = Device(growing(), per_image=100)
    device.go(100)
    assert device.size == 16
    device.fail()
    assert device.size == 8
    assert device.knobs[BATCH_SIZE].value == 8
    device.go(3000)
    assert device.size == 15
    assert max(value for _, value, _ in device.moves()[1:]) == 15


def test_evaluation_interval_doubles_after_oom():
    device = Device(growing(), per_image=100)
    device.go(100)
    device.fail()
    device.go(1000)
    assert [at for at, _, _ in device.moves()] == [100, 100, 300]


def test_nonfinite_step_is_ignored():
    device = Device()
    assert list(device.automation.on_failure(StepFailed(3, "not finite"))) == []


def test_disabled_after_six_failures_in_a_thousand_iterations():
    device = Device(DynamicBatchSizeOptimizer(max_batch_size=64), batch=64, per_image=1)
    for _ in range(5):
        device.go(100)
        assert not any(isinstance(decision, Disable) for decision in device.fail())
    device.go(100)
    *moves, last = device.fail()
    assert isinstance(last, Disable)
    assert moves[-1].forced
    assert moves[-1].value == 1


def test_failures_far_apart_do_not_disable():
    device = Device(batch=64, per_image=1)
    for _ in range(6):
        assert not any(isinstance(decision, Disable) for decision in device.fail())
        device.go(250)


def test_halvings_within_one_iteration_are_one_failure():
    device = Device(DynamicBatchSizeOptimizer(max_batch_size=512), batch=512, has_memory=False)
    values = [decision.value for _ in range(9) for decision in device.fail()]
    assert values == [256, 128, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(("fallback", "size"), [(5, 4), (3, 3)])
def test_disabling_moves_to_a_size_that_survived(fallback, size):
    device = Device(DynamicBatchSizeOptimizer(fallback=BatchFallback(batch_size=fallback)), batch=16, per_image=1)
    device.automation.peaks = {3: [1003], 4: [1004], 16: [1016]}
    device.automation.failures = [1, 2, 3, 4, 5]
    device.iteration = 50
    assert [decision.value for decision in device.fail()[:-1]] == [size]


# Memory overcommitment without a failure


def test_retries_in_two_windows_in_a_row_shrink():
    device = Device(growing())
    device.go(60)
    device.retries += 1
    assert device.window() == []
    assert device.window() == []
    device.retries += 1
    assert device.window() == []
    device.retries += 3
    (move,) = device.window()
    assert (move.value, move.reason, move.forced) == (4, "repeated allocation retries", True)


def test_lower_retry_count_after_resume_is_not_a_retry():
    device = Device(growing())
    device.retries = 50
    device.go(60)
    for retries in (3, 2, 1):
        device.retries = retries
        assert device.window() == []


@pytest.mark.parametrize(("used", "pace", "shrinks"), [(9850, 1.6, True), (9850, 1.4, False), (9750, 1.6, False)])
def test_slow_full_device_has_spilled(used, pace, shrinks):
    device = Device()
    device.go(70)
    decisions = device.window(memory=Memory(TOTAL, used, used - 500), seconds=pace)
    assert [(move.value, move.reason) for move in decisions] == [(4, "driver memory in use")] * shrinks


def test_peaks_of_the_first_ten_iterations_after_a_change_are_ignored():
    device = Device()
    full = Memory(TOTAL, 9900, 9400)
    device.window(memory=full)  # iterations 1 to 10
    assert device.automation.peaks == {}
    device.window(length=1)
    assert list(device.automation.peaks) == [8]
    device.go(1000)
    assert device.moves() == []


# Devices and runs with few possibilities


def test_without_memory_figures_only_failures_are_handled():
    device = Device(has_memory=False)
    (said,) = device.said
    assert isinstance(said, Say)
    assert said.text == (
        "this device does not report its memory; a step that runs out of memory is still split and repeated"
    )
    assert not said.warn
    assert device.automation.every > 10**5
    assert device.automation.needs is None
    device.automation.on_window(WindowFinished(10, [STEP] * 10))
    assert device.fail()[0].value == 4


def test_coupled_images_are_never_split():
    device = Device(growing(), batch=64, coupled_by="own: not declared separable")
    assert device.said == [Say("nothing is done: a batch must not be split (own: not declared separable)", warn=True)]
    assert device.knobs[MICRO_BATCH].value == 64
    assert device.fail() == []
    assert device.go(1000) == []


def test_compiled_network_only_halves_and_changes_at_most_twice():
    device = Device(growing(), batch=12, is_compiled=True, others=2500, fixed=1000, per_image=500)  # 95 %
    assert device.said[0].warn
    device.go(100)
    assert device.size == 6
    device.others = 0
    device.go(200)
    assert device.size == 12
    device.others = 5000
    device.go(500)
    assert [value for _, value, _ in device.moves()] == [6, 12]
    assert device.fail()[0].value == 6


def test_window_without_memory_is_not_observed():
    device = Device()
    for _ in range(30):
        device.iteration += 10
        assert list(device.automation.on_window(WindowFinished(device.iteration, [STEP] * 10))) == []
    assert device.automation.peaks == {}


@pytest.mark.parametrize("broken", [Memory(0, 0, 0), Memory(TOTAL, math.nan, 5), Memory(TOTAL, 5, math.nan)])
def test_invalid_numbers_change_nothing(broken):
    device, clean = Device(growing()), Device(growing())
    for _ in range(50):
        clean.window()
        device.window(memory=broken)
        device.iteration -= 10
        device.window(seconds=math.nan)
    assert device.moves() == clean.moves() != []


def test_shadow_mode_logs_a_request_once():
    device = Device(growing())
    for knob in device.knobs.values():
        knob.shadow()
    for _ in range(100):
        device.iteration += 10
        event = WindowFinished(device.iteration, [STEP] * 10, 1.0, Memory(TOTAL, 4700, 4200), 8)
        device.apply(device.automation.on_window(event))
    assert device.moves() == [(100, 14, GROW)]


# The options, one by one


def outcome(options, **world):
    device = Device(DynamicBatchSizeOptimizer(**({"effective_batch": "grow"} | options)), **world)
    device.go(2000)
    return device.moves()


@pytest.mark.parametrize(
    ("option", "final"),
    [
        ({}, 16),
        ({"target_vram_usage": 0.65}, 11),
        ({"safety_margin": 0.1}, 15),
        ({"max_batch_size": 12}, 12),
        ({"effective_batch": "preserve"}, 8),
        ({"max_adjustments": 1}, 14),
        ({"max_adjustments": 2}, 16),
    ],
)
def test_option_moves_the_final_size(option, final):
    assert [8, *(value for _, value, _ in outcome(option))][-1] == final


def test_adjustment_frequency_is_the_interval_between_changes():
    assert [at for at, _, _ in outcome({"adjustment_frequency": 250})] == [250, 500]
    assert DynamicBatchSizeOptimizer(adjustment_frequency=250).every == 10
    assert DynamicBatchSizeOptimizer(adjustment_frequency=3).every == 3


def test_min_batch_size_limits_halving_and_shrinking():
    device = Device(DynamicBatchSizeOptimizer(min_batch_size=3), has_memory=False)
    assert device.knobs[MICRO_BATCH].low == 3
    assert [move.value for _ in range(4) for move in device.fail()] == [4, 3]
    assert outcome({"min_batch_size": 3}, others=9000)[-1][1] == 3
    assert outcome({}, others=9000)[-1][1] == 1


def test_max_batch_size_clamps_the_start():
    device = Device(DynamicBatchSizeOptimizer(max_batch_size=6), has_memory=False)
    assert device.knobs[MICRO_BATCH].value == 6
    assert device.automation.summary() == "8 -> 4+4"
    assert device.fail()[0].value == 2


@pytest.mark.parametrize(("history", "sizes"), [(50, [4, 8]), (3, [14, 16])])
def test_vram_history_size_is_how_long_a_peak_is_remembered(history, sizes):
    device = Device(growing(vram_history_size=history))
    device.go(50)
    device.window(memory=Memory(TOTAL, 8300, 7800))
    device.go(340)
    assert [value for _, value, _ in device.moves()] == sizes


@pytest.mark.parametrize(
    ("scaling", "optimizer", "factor"),
    [
        ("auto", "AdamW", math.sqrt(2)),
        ("auto", "SGD", 2.0),
        ("auto", "sgdw", 2.0),
        ("none", "AdamW", 1.0),
        ("none", "SGD", 1.0),
    ],
)
def test_lr_scaling_follows_the_batch(scaling, optimizer, factor):
    device = Device(growing(lr_scaling=scaling), optimizer=optimizer)
    device.go(1000)
    assert device.knobs[BATCH_SIZE].value == 16
    assert device.knobs[LR_BATCH].value == pytest.approx(factor)


def test_learning_rate_factor_is_at_most_two():
    device = Device(growing(), per_image=10, optimizer="SGD")
    device.go(1000)
    assert device.size == 32
    assert device.knobs[LR_BATCH].value == 2.0


@pytest.mark.parametrize(("fallback", "batch", "expected"), [(8, 16, 8), (8, 4, 4), (3, 16, 3)])
def test_fallback_is_the_size_after_disabling(fallback, batch, expected):
    device = Device(DynamicBatchSizeOptimizer(fallback=BatchFallback(batch_size=fallback)), batch=batch)
    assert device.ranges[MICRO_BATCH].fallback == expected


def test_schema_is_the_signature():
    fields = AUTOMATIONS["dynamic_batch_size_optimizer"].options.model_fields
    assert len(fields) == 10
    assert AUTOMATIONS.build("DynamicBatchSizeOptimizer", {"fallback": {"batch_size": 2}}).fallback.batch_size == 2
    with pytest.raises(ValueError, match="batch_sise"):
        AUTOMATIONS.build("DynamicBatchSizeOptimizer", {"fallback": {"batch_sise": 2}})


# Messages and state


def test_secondary_moves_are_not_counted():
    device = Device(growing())
    device.go(1000)
    wishes = [decision for _, decision in device.log]
    assert {wish.knob: wish.forced for wish in wishes} == {MICRO_BATCH: False, BATCH_SIZE: True, LR_BATCH: True}
    assert device.adjustments == 2


def test_evidence_contains_prediction_and_limit():
    device = Device(growing())
    device.go(250)
    evidence = device.log[-1][1].evidence
    assert evidence["estimate"] == pytest.approx(0.79)
    assert evidence["threshold"] == pytest.approx(0.8)
    assert evidence["observed"] == pytest.approx(0.71)
    assert evidence["window"] == 18


def test_summaries():
    device = Device()
    assert device.automation.title == "batch"
    assert device.automation.summary() == "stayed 8"
    device.go(50)
    device.fail()
    assert device.automation.summary() == "8 -> 4+4 (1 out of memory)"
    device = Device(growing())
    device.go(1000)
    assert device.automation.summary() == "8 -> 16"


def script(seed):
    """Return the events of a run: windows of odd lengths, other processes, failures, slow steps."""
    rng = random.Random(seed)
    events = []
    for _ in range(200):
        kind = rng.random()
        if kind < 0.02:
            events.append(("fail", None))
        elif kind < 0.06:
            events.append(("others", rng.randrange(300, 4000)))
        elif kind < 0.09:
            events.append(("retries", rng.randrange(1, 3)))
        else:
            events.append(("window", (rng.choice([1, 4, 10, 10, 10, 25]), rng.choice([math.nan, 1.0, 1.02, 2.0]))))
    return events


def play(device, events):
    for kind, value in events:
        if kind == "fail":
            device.fail()
        elif kind == "window":
            device.window(length=value[0], seconds=value[1])
        else:
            setattr(device, kind, value if kind == "others" else device.retries + value)


@pytest.mark.parametrize("seed", range(12))
def test_resumed_run_decides_like_an_uninterrupted_one(seed):
    options = {"effective_batch": "grow", "adjustment_frequency": 40}
    events, cut = script(seed), random.Random(seed + 100).randrange(5, 195)
    whole = Device(DynamicBatchSizeOptimizer(**options))
    play(whole, events)
    first = Device(DynamicBatchSizeOptimizer(**options))
    play(first, events[:cut])

    second = DynamicBatchSizeOptimizer(**options)
    state = pickle.loads(pickle.dumps(first.automation.state_dict()))
    second.attach(first.knobs)
    second.ranges(first.run)
    second.load_state_dict(state)
    second.on_start(first.run)
    first.automation = second
    play(first, events[cut:])
    assert first.log == whole.log
    assert whole.log != []
    assert second.state_dict().keys() == whole.automation.state_dict().keys()


def is_plain(value):
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(part) for key, part in value.items())
    return all(map(is_plain, value)) if isinstance(value, list) else type(value) in (int, float, bool, str)


def test_state_is_plain_and_bounded():
    device = Device(growing())
    device.go(20_000)
    device.fail()
    state = device.automation.state_dict()
    assert is_plain(state)
    assert all(len(kept) <= 50 for kept in state["peaks"].values())
    assert len(state["seconds"]) <= 50 >= len(state["paces"])
    assert len(pickle.dumps(state)) < 5000
