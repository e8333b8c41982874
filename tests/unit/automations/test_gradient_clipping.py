import io
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.automations.gradient_clipping import AdaptiveGradientClipping, ClippingFallback
from traiNNer.engine.control.events import KnobChanged, RunStarted, Say, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, Knobs
from traiNNer.registry import AUTOMATIONS

RELATIVE = {"threshold_mode": "relative"}


class Run:
    """A run with only this automation: a minimal engine and host."""

    def __init__(self, is_clipping: bool = True, file_limit: float = 1.0, **options):
        self.automation = AdaptiveGradientClipping(**options)
        self.knobs = Knobs(grad_clip=file_limit if is_clipping else math.inf)
        self.automation.attach(self.knobs)
        self.event = RunStarted(total_iter=10_000, batch_size=8, is_clipping=is_clipping)
        for name, wanted in self.automation.ranges(self.event).items():
            self.knobs[name].configure(wanted)
        self.iteration, self.streak, self.window = 0, 0, []
        self.decisions = []
        self.apply(self.automation.on_start(self.event))

    def feed(self, norms, windows=()):
        """Step with the given norms; extra windows end at the iterations of `windows`."""
        for norm in norms:
            self.iteration += 1
            self.step(Step(self.accepts(norm), float(norm), 0.1), windows)
        return self

    def accepts(self, norm):
        """Decide like `NormFilter`, without slow tensors."""
        is_large = self.skip < norm < math.inf
        is_exploding = is_large and self.streak < 5
        if math.isfinite(norm):
            self.streak = self.streak + is_exploding if is_large else 0
        return math.isfinite(norm) and not is_exploding

    def step(self, step, windows=()):
        self.window.append(step)
        if self.iteration % self.automation.every == 0 or self.iteration in windows:
            steps, self.window = self.window, []
            self.apply(self.automation.on_window(WindowFinished(self.iteration, steps)))

    def apply(self, decisions):
        for decision in list(decisions):
            self.decisions.append((self.iteration, decision))
            if isinstance(decision, SetKnob):
                knob = self.knobs[decision.knob]
                old, new = knob.value, knob.clamp(decision.value)
                knob.set(decision.value, self.iteration)
                self.automation.on_change(KnobChanged(self.iteration, decision.knob, old, new))

    def moves(self, knob=GRAD_CLIP):
        return [(at, move) for at, move in self.decisions if isinstance(move, SetKnob) and move.knob == knob]

    def said(self):
        return [decision for _, decision in self.decisions if isinstance(decision, Say)]

    @property
    def clip(self):
        return self.knobs[GRAD_CLIP].at()

    @property
    def skip(self):
        return self.knobs[GRAD_SKIP].at()


def draw(count, median=1.0, sd=0.54, seed=0):
    return (median * np.exp(np.random.default_rng(seed).normal(0, sd, count))).tolist()


def wanted_of(norms):
    """Return exp(median + 2.5 robust standard deviations) of the log norms."""
    logs = np.log(norms)
    center = float(np.median(logs))
    return math.exp(center + 2.5 * 1.4826 * float(np.median(np.abs(logs - center))))


def values(run):
    return [1.0] + [move.value for _, move in run.moves()]


# Schema


def test_registered_with_exactly_these_options():
    component = AUTOMATIONS["adaptive_gradient_clipping"]
    assert component.builder is AdaptiveGradientClipping
    assert list(component.options.model_fields) == [
        "initial_threshold",
        "min_threshold",
        "max_threshold",
        "threshold_mode",
        "adjustment_factor",
        "monitoring_frequency",
        "gradient_history_size",
        "fallback",
        "max_adjustments",
    ]
    automation = component.build({"fallback": {"threshold": 2.0}, "threshold_mode": "relative"})
    automation.attach(Knobs(grad_clip=1.0))
    assert automation.ranges(RunStarted(1, 1))[GRAD_CLIP].fallback == 2.0


# Every option changes a decision


def test_limit_of_the_user_is_that_of_the_automation_or_of_the_file():
    for run, limit in ((Run(file_limit=2.5), 2.5), (Run(file_limit=2.5, initial_threshold=0.5), 0.5)):
        run.feed(draw(300, median=10))
        assert (run.clip, run.knobs[GRAD_CLIP].fallback, run.moves()) == (limit, limit, [])


def test_limit_of_the_user_is_within_absolute_bounds_only():
    assert (Run(initial_threshold=50.0).clip, Run(file_limit=0.01).clip) == (10.0, 0.1)
    text = "min_threshold and max_threshold exclude 50: the limit is 10"
    assert Run(initial_threshold=50.0).said() == [Say(text, warn=True)]
    relative = Run(initial_threshold=50.0, **RELATIVE)
    assert (relative.clip, relative.said()) == (50.0, [])


def test_min_threshold():
    assert Run(min_threshold=0.5).feed(draw(200, median=0.01)).clip == 0.5
    assert Run(min_threshold=0.2).feed(draw(200, median=0.01)).clip == 0.2


def test_max_threshold():
    norms = draw(3000, median=0.34)
    assert Run(max_threshold=1.1).feed(norms).clip <= 1.1
    assert Run().feed(norms).clip == pytest.approx(1.2)


def test_threshold_mode_bounds_are_multiples_of_the_median():
    norms = draw(400, median=0.02)
    assert 0.04 < Run(**RELATIVE).feed(norms).clip < 0.12
    assert Run(max_threshold=2.0, **RELATIVE).feed(norms).clip == pytest.approx(2 * 0.02, rel=0.3)
    assert Run(min_threshold=9.0, **RELATIVE).feed(norms).clip == pytest.approx(9 * 0.02, rel=0.3)
    assert Run().feed(norms).clip == 0.1


def test_only_absolute_bounds_belong_to_the_knob():
    assert (Run().knobs[GRAD_CLIP].low, Run().knobs[GRAD_CLIP].high) == (0.1, 10.0)
    knob = Run(**RELATIVE).knobs[GRAD_CLIP]
    assert (knob.low, knob.high) == (0.0, math.inf)


def test_adjustment_factor_is_the_dead_band():
    falling = [norm / 1.0005**step for step, norm in enumerate(draw(3000, median=0.1, seed=1))]
    few, many = (Run(adjustment_factor=factor, **RELATIVE).feed(falling) for factor in (1.6, 1.1))
    assert 1 < len(few.moves()) < len(many.moves())
    for run, factor in ((few, 1.6), (many, 1.1)):
        assert all(old / new > factor for old, new in pairwise(values(run)))


def test_monitoring_frequency_sets_when_the_limit_may_move():
    falling = [norm / 1.002**step for step, norm in enumerate(draw(600, median=0.1))]
    for frequency in (10, 25):
        times = [at for at, _ in Run(monitoring_frequency=frequency, **RELATIVE).feed(falling).moves()]
        assert len(times) >= 2
        assert all(at % frequency == 0 for at in times)


def test_windows_of_other_automations_change_nothing():
    norms = draw(600, median=0.2) + draw(400, median=0.8)
    run, other = Run().feed(norms), Run().feed(norms, windows=range(1, 1000, 3))
    assert run.moves()
    assert run.decisions == other.decisions


def test_gradient_history_size():
    # The limit follows a fall slowly where the history is long; the guide's 100 is the least, 200.
    norms = draw(800, median=0.2, seed=3) + draw(250, median=0.05, seed=4)
    guide, least, long = (Run(gradient_history_size=size, **RELATIVE).feed(norms) for size in (100, 200, 800))
    assert guide.decisions == least.decisions
    assert long.clip > 2 * least.clip
    assert [len(run.automation.history) for run in (least, long)] == [200, 800]


def test_fallback_threshold():
    for fallback, expected in ((ClippingFallback(), 1.0), (ClippingFallback(threshold=0.4), 0.4)):
        run = Run(fallback=fallback).feed(draw(100, median=0.05))
        assert run.clip < 0.4
        assert run.skip < math.inf
        for name in run.automation.ranges(run.event):
            run.knobs[name].is_disabled = True
        assert (run.clip, run.skip) == (expected, math.inf)


# Whose limit holds


@pytest.mark.parametrize("middle", [0.5, 0.7, 1.0, 5.0, 30.0])
def test_limit_that_clips_more_than_a_twentieth_is_left_alone(middle):
    run = Run().feed(draw(3000, median=middle))
    assert run.moves() == []
    assert run.clip == 1.0


def test_free_limit_is_2_5_robust_deviations_above_the_median():
    norms = draw(3000, median=0.05)
    run = Run(min_threshold=0.001).feed(norms)
    assert run.clip == pytest.approx(wanted_of(norms), rel=0.25)
    assert run.moves()[0][0] == 50


def test_free_limit_falls_with_the_norms_at_once():
    run = Run(min_threshold=0.001).feed(draw(500, median=0.2)).feed(draw(200, median=0.02))
    assert run.clip == pytest.approx(wanted_of(draw(500, median=0.02)), rel=0.35)


def test_limit_rises_above_the_users_slowly_and_only_where_that_clips_few():
    run = Run().feed(draw(6000, median=0.34))
    assert run.clip == pytest.approx(1.2)
    assert all(new <= old * 1.2 for old, new in pairwise(values(run)))
    assert run.moves()[0][0] >= 200


def test_limit_rises_at_most_five_percent_in_ten_iterations():
    run = Run().feed(draw(1000, median=0.03)).feed(draw(700, median=0.25, seed=1))
    rises = [(at, new.value) for at, new in run.moves() if at > 1000]
    assert len(rises) > 3
    for (at, old), (then, new) in pairwise(rises):
        assert new / old <= 1.05 ** ((then - at) / 10)


def test_lowered_limit_returns_to_the_users_when_that_holds_the_run():
    run = Run(min_threshold=0.01).feed(draw(1000, median=0.05)).feed(draw(1200, median=2, seed=1))
    assert run.clip == 1.0
    assert max(values(run)) == 1.0


def test_raised_limit_returns_to_the_users_at_once_even_when_frozen():
    run = Run().feed(draw(6000, median=0.34))
    assert run.clip > 1.1
    run.feed(draw(150, median=2, seed=1))
    last = run.moves()[-1][1]
    assert (run.clip, last.reason, last.forced) == (1.0, "clipped share", True)


def test_move_that_was_taken_back_is_not_made_again_soon():
    run = Run(min_threshold=0.001).feed(draw(100, median=0.05))
    lowered = len(run.moves())
    run.knobs[GRAD_CLIP].set(1.0, 100)
    run.automation.on_change(KnobChanged(100, GRAD_CLIP, run.clip, 1.0))
    norms = draw(3000, median=0.05, seed=1)
    assert len(run.feed(norms[:1900]).moves()) == lowered
    assert len(run.feed(norms[1900:]).moves()) == lowered + 1


@pytest.mark.parametrize("is_falling", [True, False])
def test_healthy_run_needs_few_moves_and_does_not_oscillate(is_falling):
    norms = draw(12_000, median=0.2, seed=9)
    if is_falling:
        norms = [norm / (1 + step / 500) for step, norm in enumerate(norms)]
    run = Run(min_threshold=1e-4).feed(norms)
    ways = [new > old for old, new in pairwise(values(run))]
    assert 1 <= len(ways) < 30
    assert sum(a != b for a, b in pairwise(ways)) < 3


# Skipping


@pytest.mark.parametrize("spike", [30.0, 1e4, 1e30, math.inf, math.nan])
def test_spikes_are_skipped_and_do_not_raise_the_limit(spike):
    norms = draw(1000, median=0.1)
    spiky = [spike if step % 20 == 15 and step > 100 else norm for step, norm in enumerate(norms)]
    run, clean = Run().feed(spiky), Run().feed(norms)
    assert run.clip == pytest.approx(clean.clip, rel=0.25)
    assert run.automation.counts["exploding"] == (45 if math.isfinite(spike) else 0)
    assert run.automation.counts["applied"] == 955


@pytest.mark.parametrize("middle", [0.05, 5.0])
def test_skipping_is_the_same_whichever_limit_holds(middle):
    run = Run().feed(draw(300, median=middle))
    assert run.skip == pytest.approx(20 * middle, rel=0.5)
    run.feed([5 * middle, 50 * middle, *draw(8, median=middle)])
    assert run.automation.counts["applied"] == 309
    assert run.automation.counts["exploding"] == 1


def test_skipping_begins_at_ten_norms_and_follows_the_median():
    norms = draw(10)
    run = Run().feed(norms)
    assert run.skip == pytest.approx(20 * math.exp(np.median(np.log(norms))))
    falling = [norm / 1.001**step for step, norm in enumerate(draw(2000, seed=2))]
    run = Run().feed(falling)
    assert run.skip == pytest.approx(20 / 1.001**1975, rel=0.5)
    moves = run.moves(GRAD_SKIP)
    assert all(move.forced for _, move in moves)
    assert 3 < len(moves) < 15


@pytest.mark.parametrize("factor", [3.0, 30.0, 1000.0, 1 / 3, 1 / 30])
def test_norms_that_change_for_good_are_not_locked_out(factor):
    run = Run(min_threshold=1e-5).feed(draw(1000, median=0.05)).feed(draw(1000, median=0.05 * factor, seed=1))
    assert run.automation.counts["exploding"] <= 60
    assert run.skip == pytest.approx(20 * 0.05 * factor, rel=0.6)
    skipped = run.automation.counts["exploding"]
    run.feed(draw(300, median=0.05 * factor, seed=2))
    assert run.automation.counts["exploding"] == skipped
    assert run.clip == pytest.approx(min(0.19 * factor, 1.0), rel=0.5)


def test_skipped_steps_are_not_recorded():
    run = Run().feed(draw(100))
    before = run.automation.state_dict()
    for norm, loss in ((math.inf, 0.1), (math.nan, 0.1), (3.0, math.nan), (500.0, 0.1)):
        run.iteration += 1
        run.step(Step(False, norm, loss), windows=[run.iteration])
    changed = {name for name, value in run.automation.state_dict().items() if value != before[name]}
    assert changed == {"counts"}
    assert run.automation.summary().endswith(", 1 exploding step skipped, 3 not finite")


@pytest.mark.parametrize("norm", [0.0, math.nan, math.inf])
def test_norms_without_a_logarithm_change_nothing(norm):
    run = Run()
    for _ in range(100):
        run.iteration += 1
        run.step(Step(True, norm, 0.1))
    assert run.decisions == []
    assert run.automation.history == []


# What is said


def test_mostly_clipped_run_is_told_once_that_the_rate_sets_the_step():
    run = Run().feed(draw(1000, median=3))
    assert [(say.text.split(" ", 1)[1], say.warn) for say in run.said()] == [
        (
            "% of the last 200 steps are clipped at 1: the learning rate, not the limit, sets how large a step is",
            False,
        )
    ]
    assert Run().feed(draw(1000, median=0.7)).said() == []


def test_binding_minimum_is_reported_once_with_a_proposal():
    run = Run().feed(draw(600, median=0.005))
    assert [say.warn for say in run.said()] == [True]
    text = run.said()[0].text
    assert text.startswith("min_threshold = 0.1 keeps the limit from 0.0")
    assert "Proposal: threshold_mode: relative, or min_threshold: " in text
    bound = float(text.rsplit(" ", 1)[1])
    assert Run(min_threshold=bound).feed(draw(600, median=0.005)).said() == []
    assert Run(**RELATIVE).feed(draw(600, median=0.005)).said() == []


def test_unclipped_run_is_only_observed():
    run = Run(is_clipping=False)
    assert run.automation.ranges(run.event) == {}
    run.feed(draw(1000, median=0.3)).feed([1000.0] * 10)
    assert run.decisions == []
    assert (run.clip, run.skip) == (math.inf, math.inf)
    share = 100 * sum(norm > 1 for norm in draw(1000, median=0.3) + [1000.0] * 10) / 1010
    assert run.automation.summary() == (
        f"observing only (grad_clip is false), {share:.1f} % of steps were above the threshold"
    )


def test_summary_counts_clipped_and_exploded_steps():
    run = Run(initial_threshold=1.0).feed([2.0, 0.5, 0.5, 0.5] * 2 + [0.5] * 2)
    assert run.automation.summary() == "20.0 % of steps"
    run.feed([1e6])
    run.feed([0.5] * 9)
    assert run.automation.summary() == "10.5 % of steps, 1 exploding step skipped"
    assert Run().automation.summary() == "0.0 % of steps"


def test_evidence_is_plain_and_has_a_reason():
    _, move = Run().feed(draw(300, median=0.1)).moves()[0]
    assert set(move.evidence) == {"median", "estimate", "share", "window"}
    assert move.evidence["estimate"] == move.value
    assert all(type(value) in (int, float) and math.isfinite(value) for value in move.evidence.values())


# State and properties


@pytest.mark.parametrize("cut", [1, 7, 13, 20, 95, 333, 604, 615, 777])
@pytest.mark.parametrize("options", [{}, RELATIVE, {"is_clipping": False}])
def test_resumed_run_decides_like_an_uninterrupted_one(cut, options):
    norms = draw(600, median=0.1, seed=7) + draw(400, median=0.5, seed=8)
    norms[::45] = [norm * 500 for norm in norms[::45]]
    whole = Run(**options).feed(norms)
    first = Run(**options).feed(norms[:cut])
    file = io.BytesIO()
    torch.save({"automation": first.automation.state_dict(), "knobs": first.knobs.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    second = Run(**options)
    second.knobs.load_state_dict(state["knobs"], second.knobs)
    second.automation.load_state_dict(state["automation"])
    second.iteration, second.window = cut, first.window
    second.streak = first.streak
    second.feed(norms[cut:])
    assert first.decisions + second.decisions == whole.decisions
    assert second.automation.state_dict() == whole.automation.state_dict()


def test_memory_is_bounded():
    run = Run(gradient_history_size=40).feed(draw(1500))
    assert len(run.automation.state_dict()["history"]) == 200


ANY_NORM = st.one_of(st.floats(0, 1e38), st.sampled_from([math.nan, math.inf, 0.0, 1e-30]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_NORM, max_size=150), st.sampled_from(["absolute", "relative"]), st.integers(1, 40))
def test_decisions_are_always_finite_and_within_bounds(norms, mode, size):
    run = Run(threshold_mode=mode, gradient_history_size=size).feed(norms)
    for _, move in run.moves() + run.moves(GRAD_SKIP):
        assert 0 < move.value < math.inf


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.25, 4.0, 1024.0]))
def test_relative_decisions_scale_with_the_norms(seed, scale):
    norms = draw(300, median=0.1, seed=seed)
    one = Run(initial_threshold=1.0, **RELATIVE).feed(norms)
    other = Run(initial_threshold=scale, **RELATIVE).feed([norm * scale for norm in norms])
    pairs = list(zip(one.moves() + one.moves(GRAD_SKIP), other.moves() + other.moves(GRAD_SKIP), strict=True))
    assert pairs
    assert all(at == then and b.value == pytest.approx(scale * a.value) for (at, a), (then, b) in pairs)
