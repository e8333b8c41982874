import io
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.automations.gradient_clipping import AdaptiveGradientClipping, ClippingFallback
from traiNNer.automations.gradient_clipping_rules import center_and_width, standard_error
from traiNNer.engine.control.events import KnobChanged, RunStarted, Say, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, Knobs
from traiNNer.registry import AUTOMATIONS

RELATIVE = {"threshold_mode": "relative"}


class Run:
    """A run with only this automation: a minimal engine and host."""

    def __init__(self, is_clipping: bool = True, **options):
        self.automation = AdaptiveGradientClipping(**options)
        self.knobs = Knobs(grad_clip=1.0 if is_clipping else math.inf)
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
    return math.exp(sum(center_and_width([math.log(norm) for norm in norms])))


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
    assert automation.ranges(RunStarted(1, 1))[GRAD_CLIP].fallback == 2.0


# Every option changes a decision


def test_initial_threshold_is_active_for_twenty_norms():
    run = Run(initial_threshold=3.0).feed(draw(19, median=0.5))
    assert run.clip == 3.0
    norms = draw(20, median=0.05)
    run = Run(initial_threshold=3.0, monitoring_frequency=5).feed(norms)
    assert [at for at, _ in run.moves()] == [20]
    assert run.clip == pytest.approx(wanted_of(norms))


def test_initial_threshold_is_within_absolute_bounds_only():
    assert Run(initial_threshold=50.0).clip == 10.0
    assert Run(initial_threshold=50.0, **RELATIVE).clip == 50.0


def test_min_threshold():
    assert Run(min_threshold=0.5).feed(draw(200, median=0.01)).clip == 0.5
    assert Run(min_threshold=0.2).feed(draw(200, median=0.01)).clip == 0.2


def test_max_threshold():
    assert Run(max_threshold=5.0).feed(draw(200, median=30)).clip == 5.0
    assert Run(max_threshold=7.0).feed(draw(200, median=30)).clip == 7.0


def test_threshold_mode_bounds_are_multiples_of_the_median():
    norms = draw(400, median=30)
    free = Run(**RELATIVE).feed(norms)
    assert 80 < free.clip < 160
    tight = Run(max_threshold=2.0, **RELATIVE).feed(norms)
    assert tight.clip == pytest.approx(2 * 30, rel=0.3)
    wide = Run(min_threshold=9.0, **RELATIVE).feed(norms)
    assert wide.clip == pytest.approx(9 * 30, rel=0.3)
    assert Run().feed(norms).clip == 10.0


def test_only_absolute_bounds_belong_to_the_knob():
    assert (Run().knobs[GRAD_CLIP].low, Run().knobs[GRAD_CLIP].high) == (0.1, 10.0)
    knob = Run(**RELATIVE).knobs[GRAD_CLIP]
    assert (knob.low, knob.high) == (0.0, math.inf)


def test_adjustment_factor_is_the_dead_band():
    falling = [norm / 1.0003**step for step, norm in enumerate(draw(3000, seed=1))]
    few, many = (Run(adjustment_factor=factor, **RELATIVE).feed(falling).moves() for factor in (1.6, 1.1))
    assert len(few) < len(many)
    for moves, factor in ((few, 1.6), (many, 1.1)):
        values = [1.0] + [move.value for _, move in moves]
        assert all(max(a / b, b / a) > factor for a, b in pairwise(values))


def test_monitoring_frequency_sets_when_the_limit_may_move():
    for frequency in (10, 25):
        run = Run(monitoring_frequency=frequency, **RELATIVE).feed(draw(300, median=0.2) + draw(300, median=1.0))
        times = [at for at, _ in run.moves()]
        assert len(times) >= 2
        assert all(at % frequency == 0 for at in times)
    assert [Run(monitoring_frequency=f).feed(draw(60, median=0.2)).moves()[0][0] for f in (10, 25)] == [20, 25]


def test_windows_of_other_automations_change_nothing():
    norms = draw(600, median=0.2) + draw(400, median=0.8)
    assert Run().feed(norms).decisions == Run().feed(norms, windows=range(1, 1000, 3)).decisions


def test_gradient_history_size():
    # The limit follows a rise that is too small for a new regime slowly: a long history is slower.
    norms = draw(800, seed=3) + draw(300, median=1.7, seed=4)
    short, long = (Run(gradient_history_size=size, **RELATIVE).feed(norms) for size in (50, 600))
    assert short.clip > 1.1 * long.clip
    assert len(short.automation.state_dict()["memory"]["history"]) == 50


def test_fallback_threshold():
    for fallback, expected in ((ClippingFallback(), 1.0), (ClippingFallback(threshold=0.4), 0.4)):
        run = Run(fallback=fallback).feed(draw(100, median=0.3))
        assert (run.clip, run.skip) != (expected, math.inf)
        for name in run.automation.ranges(run.event):
            run.knobs[name].is_disabled = True
        assert (run.clip, run.skip) == (expected, math.inf)


def test_max_adjustments_also_limits_uncounted_new_regimes():
    norms = [norm for turn in range(6) for norm in draw(100, median=5.0 ** (turn % 2), seed=turn)]
    regimes = [m for _, m in Run(max_adjustments=2, **RELATIVE).feed(norms).moves() if m.reason == "new regime"]
    assert [move.forced for move in regimes] == [True, True] + [False] * (len(regimes) - 2)
    assert len(regimes) > 2
    assert Run(max_adjustments=2).automation.max_adjustments == 2


# The rules


def test_limit_is_2_5_robust_deviations_above_the_median():
    run = Run(**RELATIVE).feed(draw(4000, sd=0.5))
    assert run.clip == pytest.approx(math.exp(2.5 * 0.5), rel=0.25)


@pytest.mark.parametrize("spike", [30.0, 1e4, 1e30, math.inf, math.nan])
def test_spikes_are_skipped_and_do_not_raise_the_limit(spike):
    norms = draw(1000)
    spiky = [spike if step % 20 == 15 and step > 100 else norm for step, norm in enumerate(norms)]
    run, clean = Run().feed(spiky), Run().feed(norms)
    assert run.clip == pytest.approx(clean.clip, rel=0.25)
    assert run.automation.exploded == (45 if math.isfinite(spike) else 0)
    assert run.automation.applied == 955


def test_unskipped_spike_is_recorded_at_the_limit():
    run = Run(**RELATIVE).feed(draw(200))
    limit = math.log(run.clip)
    run.iteration += 1
    run.step(Step(True, 1e6, 0.1), windows=[run.iteration])
    history = run.automation.norms.history
    assert history[-1] == pytest.approx(max(limit, run.automation.norms.wanted()))


def test_skipped_steps_are_not_recorded():
    run = Run().feed(draw(100))
    before = run.automation.state_dict()
    for norm, loss in ((math.inf, 0.1), (math.nan, 0.1), (3.0, math.nan), (500.0, 0.1)):
        run.iteration += 1
        run.step(Step(False, norm, loss), windows=[run.iteration])
    changed = {name for name, value in run.automation.state_dict().items() if value != before[name]}
    assert changed == {"exploded", "broken"}
    assert (run.automation.exploded, run.automation.broken) == (1, 3)
    assert run.automation.summary().endswith(", 1 exploding step skipped, 3 not finite")


@pytest.mark.parametrize("norm", [0.0, math.nan, math.inf])
def test_norms_without_a_logarithm_change_nothing(norm):
    run = Run()
    for _ in range(100):
        run.iteration += 1
        run.step(Step(True, norm, 0.1))
    assert run.decisions == []
    assert run.automation.norms.latest == []


@pytest.mark.parametrize("factor", [3.0, 1 / 3, 10.0, 100.0, 1 / 100])
def test_new_regime_is_followed_immediately(factor):
    run = Run(**RELATIVE).feed(draw(1000)).feed(draw(60, median=factor, seed=1))
    at, move = next((at, m) for at, m in run.moves() if m.reason == "new regime")
    assert 1000 < at <= 1040
    assert move.forced
    assert run.clip == pytest.approx(3.86 * factor, rel=0.5)
    assert run.skip == pytest.approx(20 * factor, rel=0.4)


def test_limit_is_not_stuck_below_norms_that_grew_early():
    run = Run(initial_threshold=0.01, **RELATIVE).feed(draw(40, median=50))
    assert run.clip == pytest.approx(3.86 * 50, rel=0.7)


def test_direction_change_needs_twice_the_distance():
    steady = draw(600, seed=5)
    run = Run(**RELATIVE).feed(steady)
    start = run.clip
    run.automation.direction = 0
    assert run.automation._dead_band(start * 1.3) == run.automation._dead_band(start / 1.3)
    run.automation.direction = 1
    assert run.automation._dead_band(start / 1.3) == pytest.approx(1.2**2)
    assert run.automation._dead_band(start * 1.3) < 1.2**2


def test_limit_from_few_norms_moves_only_beyond_its_error():
    young, old = Run(**RELATIVE).feed(draw(30, seed=6)), Run(**RELATIVE).feed(draw(3000, seed=6))
    young.automation.direction = old.automation.direction = 0
    assert young.automation._dead_band(1.0) == pytest.approx(math.exp(2 * young.automation.norms.error()))
    assert young.automation._dead_band(1.0) > 1.5
    assert old.automation._dead_band(1.0) == 1.2


def test_much_wider_norms_are_a_new_regime():
    run = Run(**RELATIVE).feed(draw(1000, sd=0.3)).feed(draw(150, sd=1.5, seed=1))
    found = [(at, move.value) for at, move in run.moves() if move.reason == "new regime"]
    assert found
    assert 1000 < found[0][0] <= 1120
    assert run.clip > 2 * math.exp(2.5 * 0.3)


def test_skipping_begins_at_ten_norms_and_follows_the_median():
    norms = draw(10)
    run = Run().feed(norms)
    assert run.skip == pytest.approx(20 * math.exp(np.median(np.log(norms))))
    falling = [norm / 1.001**step for step, norm in enumerate(draw(2000, seed=2))]
    run = Run().feed(falling)
    assert run.skip == pytest.approx(20 / 1.001**1800, rel=0.3)
    moves = run.moves(GRAD_SKIP)
    assert all(move.forced for _, move in moves)
    assert 5 < len(moves) < 15


def test_skipping_continues_when_the_limit_is_clamped():
    falling = [norm / 1.001**step for step, norm in enumerate(draw(1000, median=60, seed=2))]
    run = Run().feed(falling)
    assert [move.value for _, move in run.moves()] == [10.0]
    assert len(run.moves(GRAD_SKIP)) > 3


@pytest.mark.parametrize(("median", "name"), [(30.0, "max_threshold = 10"), (0.005, "min_threshold = 0.1")])
def test_binding_bounds_are_reported_once_with_a_proposal(median, name):
    run = Run().feed(draw(600, median=median))
    assert [say.warn for say in run.said()] == [True]
    text = run.said()[0].text
    assert name in text
    assert "Proposal: threshold_mode: relative, or " in text
    bound = float(text.rsplit(" ", 1)[1])
    key = name.split(" ")[0]
    assert Run(**{key: bound}).feed(draw(600, median=median)).said() == []
    assert Run(**RELATIVE).feed(draw(600, median=median)).said() == []


def test_rarely_binding_bounds_are_not_reported():
    run = Run().feed(draw(100, median=30)).feed(draw(1500, median=1))
    assert run.automation.bound > 0
    assert run.said() == []


def test_unclipped_run_is_only_observed():
    run = Run(is_clipping=False)
    assert run.automation.ranges(run.event) == {}
    run.feed(draw(1000)).feed([1000.0] * 3)
    assert run.decisions == []
    assert (run.clip, run.skip) == (math.inf, math.inf)
    share = 100 * run.automation.clipped / 1003
    assert 0.3 < share < 10
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
    _, move = Run().feed(draw(300, median=0.3)).moves()[0]
    assert set(move.evidence) == {"median", "estimate", "se", "window", "threshold"}
    assert move.evidence["estimate"] == move.value
    assert all(type(value) in (int, float) and math.isfinite(value) for value in move.evidence.values())


# State and properties


@pytest.mark.parametrize("cut", [1, 7, 13, 20, 95, 333, 604, 615, 777])
@pytest.mark.parametrize("options", [{}, RELATIVE, {"is_clipping": False}])
def test_resumed_run_decides_like_an_uninterrupted_one(cut, options):
    norms = draw(600, median=0.3, seed=7) + draw(400, median=1.2, seed=8)
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
    memory = run.automation.state_dict()["memory"]
    assert (len(memory["history"]), len(memory["latest"])) == (40, 30)


ANY_NORM = st.one_of(st.floats(0, 1e38), st.sampled_from([math.nan, math.inf, 0.0, 1e-30]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_NORM, max_size=150), st.sampled_from(["absolute", "relative"]), st.integers(1, 40))
def test_decisions_are_always_finite_and_within_bounds(norms, mode, size):
    run = Run(threshold_mode=mode, gradient_history_size=size).feed(norms)
    for _, move in run.moves() + run.moves(GRAD_SKIP):
        assert 0 < move.value < math.inf


@pytest.mark.parametrize(("size", "bound"), [(1e6, 10), (1e-6, 0.1)])
def test_absolute_threshold_ends_at_its_bound(size, bound):
    run = Run(threshold_mode="absolute").feed([norm * size for norm in draw(600)])
    assert [move.value for _, move in run.moves()] == [bound]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.25, 4.0, 1024.0]))
def test_relative_decisions_scale_with_the_norms(seed, scale):
    norms = draw(300, seed=seed)
    one = Run(initial_threshold=1.0, **RELATIVE).feed(norms)
    other = Run(initial_threshold=scale, **RELATIVE).feed([norm * scale for norm in norms])
    pairs = list(zip(one.moves() + one.moves(GRAD_SKIP), other.moves() + other.moves(GRAD_SKIP), strict=True))
    assert pairs
    assert all(at == then and b.value == pytest.approx(scale * a.value) for (at, a), (then, b) in pairs)


def test_standard_error_matches_simulated_norms():
    rng = np.random.default_rng(0)
    found = [sum(center_and_width(rng.normal(0, 0.5, 100).tolist())) for _ in range(1000)]
    assert standard_error(2.5 * 0.5, 100, 100) == pytest.approx(float(np.std(found)), rel=0.1)
