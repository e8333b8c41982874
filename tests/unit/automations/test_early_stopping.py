import json
import math
import pickle
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.automations.early_stopping import IntelligentEarlyStopping, StoppingFallback, clearly_lower
from traiNNer.engine.control.events import KnobChanged, ProbeFinished, RunStarted, Say, Stop, ValidationFinished
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.control.prediction import LOG_TO_DB
from traiNNer.optim.schedules import CosineAnnealingLR, MultiStepLR
from traiNNer.registry import AUTOMATIONS, StrictOptions

TOTAL, FREQ = 40000, 1000


def start(options=None, total=TOTAL, freq=FREQ, load=None, **run):
    automation = IntelligentEarlyStopping(**(options or {}))
    automation.attach(Knobs())
    if load:
        automation.load_state_dict(load)
    metrics = run.pop("metrics", {"val/psnr": "higher"})
    said = list(automation.on_start(RunStarted(total, 16, val_freq=freq, metrics=metrics, **run)))
    return automation, said


def play(automation, curve, first=FREQ, last=TOTAL, freq=FREQ, metric="val/psnr", hook=None):
    """Feed a curve until the automation stops; return all decisions with their iteration."""
    seen = []
    for iteration in range(first, last + 1, freq):
        if hook:
            hook(iteration)
        seen += [
            (iteration, one)
            for one in automation.on_validation(ValidationFinished(iteration, {metric: curve(iteration)}))
        ]
        if any(isinstance(one, Stop) for _, one in seen):
            break
    return seen


def stop_of(automation, curve, **how):
    """Return iteration and decision of the stop, or (None, None)."""
    return next(((at, one) for at, one in play(automation, curve, **how) if isinstance(one, Stop)), (None, None))


def noise(iteration, sd=0.02, seed=0):
    return random.Random(iteration * 7919 + seed).gauss(0, sd)


def flat(iteration):
    return 30 + noise(iteration, 0.002)


def rising(iteration):
    return 25 + iteration / 4000 + noise(iteration)


def overfitted(iteration):
    return 30 + min(iteration, 8000) / 4000 - 0.4 * max(iteration - 8000, 0) / 5000 + noise(iteration)


# Rules


def test_flat_run_is_stopped_with_reason_and_evidence():
    at, stop = stop_of(start()[0], flat)
    assert 10000 <= at <= 16000
    assert stop.reason.startswith("no improvement in val/psnr for ")
    assert stop.reason.endswith(" dB")
    assert "iterations; projected gain 0.0" in stop.reason
    assert stop.best == "val/psnr"
    assert not stop.failed
    assert stop.evidence["projected_gain"] < stop.evidence["threshold"] == 0.05
    assert stop.evidence["noise_sd"] == pytest.approx(0.002, rel=0.9)
    assert {"estimate", "se", "upper", "window"} <= stop.evidence.keys()


def test_improving_run_continues():
    automation, _ = start()
    assert stop_of(automation, rising) == (None, None)
    assert automation.summary().startswith("not triggered, projected gain 0.")
    assert automation.summary().endswith(" dB")


def test_overfitting_run_is_stopped_despite_future_rate_decay():
    automation, _ = start(schedule=CosineAnnealingLR(TOTAL, 1e-3))
    at, stop = stop_of(automation, overfitted)
    assert 8000 < at <= 8000 + 5 * 5000
    assert stop.reason.startswith("overfitting, val/psnr is 0.")
    assert stop.evidence["upper"] < 0
    assert stop.evidence["fall"] > stop.evidence["threshold"]
    assert automation.summary() == f"at {at:,}, best {automation.raw_best[0]:.4g} at {automation.raw_best[1]:,}"
    assert abs(automation.raw_best[1] - 8000) <= 1000


def test_drop_within_noise_is_not_overfitting():
    automation, _ = start({"max_no_improvement": None}, schedule=CosineAnnealingLR(TOTAL, 1e-3))
    at, _ = stop_of(automation, lambda t: 30 - 0.01 * t / 5000 + noise(t, 0.1), last=30000)
    assert at is None


def crops(error, spread=0.1, seed=0):
    """Return eight log errors around a mean."""
    return [error + spread * (place - 3.5) + noise(place, 0.005, seed) for place in range(8)]


@pytest.mark.parametrize(("step", "expected"), [(-1, True), (1, None)])
def test_overfitting_is_a_falling_metric_while_the_training_crops_improve(step, expected):
    automation, _ = start(schedule=CosineAnnealingLR(TOTAL, 1e-3))
    for iteration in range(FREQ, TOTAL, FREQ):
        errors = crops(-3 + step * iteration / 50000, seed=iteration)
        found = list(
            automation.on_validation(ValidationFinished(iteration, {"val/psnr": overfitted(iteration)}, errors))
        )
        if found and isinstance(found[-1], Stop):
            break
    if expected is None:  # not overfitting: something else is wrong, and the cosine is waited for
        assert not automation.stops
    else:
        assert found[-1].evidence["training_improves"] is True
        assert 13000 <= iteration <= 8000 + 2 * 5000


def test_overfitting_is_seen_earlier_with_training_crops():
    def end(training):
        automation, _ = start()
        for iteration in range(FREQ, TOTAL, FREQ):
            event = ValidationFinished(iteration, {"val/psnr": overfitted(iteration)}, training(iteration))
            if any(isinstance(one, Stop) for one in automation.on_validation(event)):
                return iteration
        return None

    assert end(lambda t: crops(-3 - t / 50000, seed=t)) < end(lambda t: [])


def test_errors_are_paired_by_crop():
    old = [1.0, 5.0, -3.0, 0.0]
    assert clearly_lower([one - 0.1 + 0.01 * place for place, one in enumerate(old)], old, 0.9) is True
    assert clearly_lower([0.5, 5.4, -3.1, 0.0], old, 0.9) is False
    assert clearly_lower(old, old, 0.9) is False
    assert clearly_lower([*old[:2], math.nan, math.nan], old, 0.9) is None
    assert clearly_lower([], old, 0.9) is None


def test_three_nonfinite_scores_in_a_row_fail_the_run():
    broken = {3000: math.nan, 4000: math.inf, 6000: math.nan, 7000: math.nan, 8000: -math.inf}
    at, stop = stop_of(start()[0], lambda t: broken.get(t, rising(t)))
    assert (at, stop.failed) == (8000, True)
    assert stop.reason == "val/psnr was not finite in 3 validations in a row"


def test_missing_metric_is_ignored():
    automation, _ = start()
    for iteration in range(FREQ, TOTAL, FREQ):
        assert list(automation.on_validation(ValidationFinished(iteration, {"val/ssim": 0.9}))) == []
    assert automation.values == []
    assert automation.needs == "val/psnr"


def test_lower_is_better_is_negated():
    automation, _ = start({"monitor_metric": "val/lpips", "min_projected_gain": 0.01}, metrics={"val/lpips": "lower"})
    at, stop = stop_of(automation, lambda t: 0.2 + 0.1 * abs(t - 8000) / 8000, metric="val/lpips")
    assert at is not None
    assert automation.summary().endswith("best 0.2 at 8,000")
    assert "dB" not in stop.reason


def test_patience_is_at_least_five_validations():
    assert start(freq=1000)[0].patience == 5000
    assert start({"patience": 9000}, freq=1000)[0].patience == 9000


def test_trend_spans_half_of_what_it_is_projected_over():
    """A window of ten validations cannot predict ten times as many; noise would stop every long run."""
    short, _ = stop_of(start(total=40000)[0], flat)
    at, stop = stop_of(start(total=300000)[0], flat, last=300000)
    assert short < at
    assert stop.evidence["window"] >= (300000 - at) / 2


# Options


def test_preset_decides_how_sure_a_stop_is():
    short, _ = stop_of(start({"preset": "convenience", "patience": 5000})[0], flat)
    automation, _ = start({"preset": "fidelity", "patience": 10000})
    assert automation.length == 21
    at, _ = stop_of(automation, flat)
    assert at > short


def test_patience_postpones():
    early, _ = stop_of(start({"patience": 5000})[0], flat)
    late, _ = stop_of(start({"patience": 15000})[0], flat)
    assert early < late


def test_min_improvement_defines_a_new_best():
    def creeping(iteration):
        return 30 + 0.005 * iteration / 1000

    options = {"min_projected_gain": 1.0}
    assert stop_of(start(options | {"min_improvement": 0.001})[0], creeping)[0] is None
    assert stop_of(start(options | {"min_improvement": 0.5})[0], creeping)[0] is not None


def test_min_epochs_postpones_if_reachable():
    early, _ = stop_of(start({"min_epochs": 0}, epoch_iter=1000)[0], flat)
    automation, said = start({"min_epochs": 30}, epoch_iter=1000)
    late, _ = stop_of(automation, flat)
    assert early < late == 30000
    assert "min_epochs" not in said[0].text


@pytest.mark.parametrize("epoch_iter", [18000, math.inf])
def test_min_epochs_out_of_reach_is_without_effect(epoch_iter):
    automation, said = start({"min_epochs": 1000}, epoch_iter=epoch_iter)
    assert "min_epochs 1000 (the run ends before)" in said[0].text
    assert stop_of(automation, flat)[0] == stop_of(start()[0], flat)[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"min_iterations": TOTAL}, "min_iterations lets nothing stop before 40,000"),
        ({"warmup_iterations": 50000}, "warmup_iterations lets nothing stop before 50,000"),
        ({"patience": 39000}, "patience lets nothing stop before 40,000"),
        ({"max_no_improvement": 2000}, "max_no_improvement (it equals patience)"),
        ({"max_no_improvement": 39000}, "max_no_improvement 39000 (the run ends before)"),
        ({}, "improvement_threshold (min_projected_gain decides before)"),
    ],
)
def test_options_without_effect_are_named_with_the_reason_and_have_none(options, told):
    automation, said = start(options)
    assert told in " / ".join(one.text for one in said)
    without = stop_of(start()[0], flat)[0]
    assert stop_of(automation, flat)[0] == (None if said[0].warn else without)


def test_min_iterations_postpones():
    early, _ = stop_of(start({"min_iterations": 0})[0], flat)
    late, _ = stop_of(start({"min_iterations": 25000})[0], flat)
    assert early < late == 25000


def test_monitor_metric_selects_the_metric():
    def scores(iteration):
        return {"val/psnr": rising(iteration), "set5/psnr": flat(iteration)}

    stops = {}
    for metric in ("val/psnr", "set5/psnr"):
        automation, _ = start({"monitor_metric": metric})
        found = (automation.on_validation(ValidationFinished(t, scores(t))) for t in range(FREQ, TOTAL + 1, FREQ))
        stops[metric] = [one.best for many in found for one in many if isinstance(one, Stop)]
    assert stops == {"val/psnr": [], "set5/psnr": ["set5/psnr"]}


def test_max_no_improvement_is_a_hard_limit_only_above_patience():
    def sagging(iteration):  # too noisy for the other rules, no new best after 2000
        return 33.0 if iteration == 2000 else 30 + noise(iteration, 1.0)

    options = {"patience": 5000, "min_projected_gain": 0.0, "improvement_threshold": 0.0}
    found = {
        limit: stop_of(start(options | {"max_no_improvement": limit})[0], sagging) for limit in (None, 5000, 12000)
    }
    assert found[None] == found[5000]
    at, stop = found[12000]
    assert at == 14000
    assert stop.reason == "no new best of val/psnr for 12000 iterations, limit 12000"
    # Larger than the option but below five validations: the hard limit is then five validations.
    assert stop_of(start(options | {"patience": 2000, "max_no_improvement": 3000})[0], sagging)[0] == 7000
    assert stop_of(start(options | {"patience": 2000, "max_no_improvement": 2000})[0], sagging) == found[None]
    with pytest.raises(ValueError, match="max_no_improvement = 1000 is less than patience"):
        start({"patience": 2000, "max_no_improvement": 1000})


def test_improvement_threshold_defines_flat():
    """A long run: small gains per patience add up to more than `min_projected_gain`."""

    def creeping(iteration):
        return 30 + 0.0015 * iteration / 5000

    options = {"min_improvement": 0.05}
    low, _ = stop_of(start(options | {"improvement_threshold": 0.0005}, total=300000)[0], creeping, last=200000)
    high, _ = stop_of(start(options | {"improvement_threshold": 0.002}, total=300000)[0], creeping, last=200000)
    assert (low, high) == (134_000, 101_000)


def test_warmup_iterations_are_not_inspected():
    def spiked(iteration):  # a lucky value before training has begun
        return 60.0 if iteration <= 3000 else rising(iteration)

    hard = {"max_no_improvement": 6000}
    assert stop_of(start(hard | {"warmup_iterations": 1000})[0], spiked)[0] is not None
    assert stop_of(start(hard | {"warmup_iterations": 4000})[0], spiked)[0] is None
    assert stop_of(start(hard | {"warmup_iterations": 1000}, warmup_iter=4000)[0], spiked)[0] is None


def recorded_stop(name):
    """Return where a recorded run is stopped with the fidelity preset, a patience of ten validations, and a cosine."""
    run = json.loads((Path(__file__).parent / "recorded_runs.json").read_text())[name]
    total, freq, gaps = run["total"], run["freq"], dict(run["gaps"])
    patience = {"patience": 10 * freq, "min_iterations": 10 * freq, "warmup_iterations": 2 * freq}
    schedule = CosineAnnealingLR(total, 5e-3)
    automation, _ = start(
        patience | {"preset": "fidelity", "min_improvement": 0.0005}, total, freq, schedule=schedule, average_iter=10.0
    )

    for iteration, score in enumerate(run["psnr"], 1):
        for at in range((iteration - 1) * freq + 1, iteration * freq + 1):
            if at in gaps:
                live = [error + gaps[at] / LOG_TO_DB for error in crops(-3)]
                list(automation.on_probe(ProbeFinished(at, live, crops(-3))))
        event = ValidationFinished(iteration * freq, {"val/psnr": score}, crops(-3))  # no gain: not overfitting
        if any(isinstance(one, Stop) for one in automation.on_validation(event)):
            return iteration * freq
    return None


def test_run_that_wanders_is_not_stopped():
    """Its scores fell for fifty iterations, and rose again: a stop at 508 of 640 lost 0.15 dB."""
    assert recorded_stop("wandering") is None


def test_run_that_falls_for_long_is_stopped_though_it_bends():
    """All of its curve's bend taken for wandering let it go on until 600 of 800."""
    assert recorded_stop("fallen") <= 480


@pytest.mark.parametrize(("last", "stops"), [(31.99, False), (31.6, True)])
def test_dip_that_is_over_is_no_overfitting(last, stops):
    """Weights that wander make all held-out crops worse at once, while training crops have improved since the best."""
    dip = {24_000: 31.6, 25_000: 31.5, 26_000: last}
    automation, _ = start({"min_iterations": 0})

    def held_out(iteration):
        worse = 0.05 if iteration in dip else 0.0
        list(automation.on_probe(ProbeFinished(iteration, crops(-3 + worse), crops(-3 + worse))))

    found = []
    for iteration in range(FREQ, 26_001, FREQ):
        held_out(iteration)
        score = dip.get(iteration, 30 + min(iteration, 17_000) / 8_500 + noise(iteration))
        event = ValidationFinished(iteration, {"val/psnr": score}, crops(-3 - iteration / 50_000))
        found += [one for one in automation.on_validation(event) if isinstance(one, Stop)]
    assert any(one.reason.startswith("overfitting") for one in found) == stops


def test_no_stop_at_the_last_iteration():
    """At the last iteration there is nothing left to gain, but an extended run must be able to continue."""
    found = play(start()[0], rising)
    assert not [one for _, one in found if isinstance(one, Stop)]


def test_nothing_is_stopped_in_the_last_tenth():
    """Healthy runs were stopped at 95 % of their length, for 0.01 dB and no time."""
    late = {"min_iterations": 36_000}
    assert stop_of(start(late)[0], flat)[0] == 36_000
    assert stop_of(start({"min_iterations": 36_500})[0], flat)[0] is None


def test_min_projected_gain_decides_whether_to_wait():
    def slow(iteration):
        return 30 + 0.3 * iteration / TOTAL

    options = {"min_improvement": 0.2}
    early, _ = stop_of(start(options | {"min_projected_gain": 0.2})[0], slow)
    at, _ = stop_of(start({"min_improvement": 0.05, "min_projected_gain": 0.01})[0], slow)
    assert (early, at) == (14_000, 35_000)


@pytest.mark.parametrize(("restore", "best"), [(True, "val/psnr"), (False, None)])
def test_restore_best_selects_the_final_weights(restore, best):
    assert stop_of(start({"restore_best": restore})[0], flat)[1].best == best


def test_respect_schedule_waits_for_milestones_and_restarts_the_trend():
    schedule = MultiStepLR((20000,), 0.5)
    early, _ = stop_of(start({"respect_schedule": False}, schedule=schedule)[0], flat)
    seen = play(start(schedule=schedule)[0], flat)
    at, _ = seen[-1]
    assert early < 20000 + 10 * FREQ <= at
    waits = [one.text for _, one in seen if isinstance(one, Say) and "waiting" in one.text]
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ({"claimed": True}, False),
        ({"pending": 0.4}, False),
        ({"pending": 0.6}, True),
        ({"pending": 0.6, "is_frozen": True}, False),
        ({"pending": 0.6, "is_disabled": True}, False),
    ],
)
@pytest.mark.parametrize("respect", [True, False])
def test_a_cut_is_waited_for_only_while_its_test_is_half_way(state, waits, respect):
    automation, _ = start({"respect_schedule": respect, "max_no_improvement": 6000})
    for name, value in state.items():
        setattr(automation.knobs["lr_factor"], name, value)
    assert (stop_of(automation, flat)[0] is None) is (waits and respect)


def finish(iteration):
    """Constant, then linear to zero over the last 30 %."""
    return min(1.0, (TOTAL - iteration) / (0.3 * TOTAL))


@pytest.mark.parametrize("schedule", [finish, CosineAnnealingLR(TOTAL, 1e-3)])
@pytest.mark.parametrize(("gap", "respect", "waits"), [(0.02, True, False), (1.0, True, True), (1.0, False, False)])
def test_annealing_is_waited_for_while_the_average_is_better_than_the_live_weights(schedule, gap, respect, waits):
    """The gap is 1 dB: a fifth of it is more than `min_projected_gain`. It vanishes with the rate."""
    automation, _ = start({"respect_schedule": respect}, schedule=schedule, average_iter=1.0)

    def probe(iteration):
        live = [error + gap * schedule(iteration - 1) / 8.686 for error in crops(-3)]
        list(automation.on_probe(ProbeFinished(iteration, live, crops(-3))))

    at, stop = stop_of(automation, flat, hook=probe)
    assert at is None or at > 0.7 * TOTAL if waits else at <= 0.6 * TOTAL
    assert stop is None or stop.evidence["annealing"] < 0.05
    assert automation.told[-1] == ("wait" if waits else "resolution")


def test_annealing_that_was_not_measured_is_waited_for():
    assert stop_of(start(schedule=finish)[0], flat)[0] is None


def test_fallback_schedule_of_the_rate_automation_counts():
    automation, _ = start()
    knob = automation.knobs["lr_factor"]
    knob.fallback, knob.is_disabled = finish, True
    assert stop_of(automation, flat)[0] is None


def test_hard_limit_waits_for_the_schedule_too():
    def fallen(iteration):
        return 33.0 if iteration == 2000 else 30 + noise(iteration, 1.0)

    options = {"max_no_improvement": 12000, "min_projected_gain": 0.0, "improvement_threshold": 0.0, "patience": 11000}
    assert stop_of(start(options)[0], fallen)[0] == 14000
    assert stop_of(start(options, schedule=MultiStepLR((30000,), 0.5))[0], fallen)[0] == 31000


@pytest.mark.parametrize(("most", "stops"), [(0, 0), (1, 1), (2, 2)])
def test_max_adjustments_limits_the_stops(most, stops):
    automation, _ = start({"max_adjustments": most})
    found = [
        one
        for t in range(FREQ, TOTAL + 1, FREQ)
        for one in automation.on_validation(ValidationFinished(t, {"val/psnr": flat(t)}))
    ]
    assert sum(isinstance(one, Stop) for one in found) == stops


@pytest.mark.parametrize("wanted", [True, False])
def test_fallback_enables_plain_patience(wanted):
    automation, _ = start({"fallback": StoppingFallback(early_stopping=wanted)})
    assert automation.has_fallback_rule is wanted


# Plain patience, after the automation is disabled


@pytest.mark.parametrize("damage", [None, "x", [math.nan, "y"], [1.0], {}])
def test_plain_patience_is_independent_of_the_history(damage):
    automation, _ = start()
    automation.best = automation.raw_best = automation.values = automation.fallback_best = damage
    seen = {}
    for iteration in range(FREQ, TOTAL + 1, FREQ):
        score = 30.0 + min(iteration, 10000) / 1000 if iteration != 12000 else math.nan
        for one in automation.fallback_rule(ValidationFinished(iteration, {"val/psnr": score})):
            seen[iteration] = one
    assert list(seen) == [15000]
    assert seen[15000].reason == "no improvement in val/psnr for 5000 iterations"
    assert seen[15000].best == "val/psnr"
    assert automation.summary().startswith("at 15,000")


def test_plain_patience_respects_its_minimums_and_missing_scores():
    def stop_at(curve, **options):
        automation, _ = start(options)
        found = (list(automation.fallback_rule(ValidationFinished(t, curve(t)))) for t in range(FREQ, TOTAL + 1, FREQ))
        return next((FREQ * (place + 1) for place, many in enumerate(found) if many), None)

    assert stop_at(lambda t: {"val/psnr": 30.0}) == 6000
    assert stop_at(lambda t: {"val/psnr": 30.0}, min_iterations=20000) == 20000
    assert stop_at(lambda t: {"val/psnr": 30.0 + t / 1e8}) == 6000
    assert stop_at(lambda t: {"val/psnr": 30.0 + t / 1e8}, min_improvement=0.0) is None
    assert stop_at(lambda t: {}) is None


# Changes


@pytest.mark.parametrize("knob", ["lr_factor", "batch_size", "loss_weight.l1"])
def test_change_of_level_is_no_trend_and_erases_nothing(knob):
    """A change lifts the metric by 0.3 dB in the window, which would read as a trend."""
    plain, _ = stop_of(start()[0], flat)
    moved = plain - 5 * FREQ
    shifted = lambda t: flat(t) + 0.3 * (t > moved)  # noqa: E731

    def end(tell):
        automation, _ = start({"min_improvement": 0.5})
        hook = lambda t: t == moved and tell and automation.on_change(KnobChanged(t, knob, 1.0, 0.5))  # noqa: E731
        return stop_of(automation, shifted, hook=hook)[0]

    assert end(True) == plain
    assert end(False) > plain


def test_nothing_stops_before_a_change_can_be_seen():
    plain, _ = stop_of(start()[0], flat)
    automation, _ = start()
    hook = lambda t: t == plain and automation.on_change(KnobChanged(t - 10, "lr_factor", 1.0, 0.5))  # noqa: E731
    assert stop_of(automation, flat, hook=hook)[0] == plain + 2 * FREQ


# Memory


def test_state_is_bounded_and_plain():
    automation, _ = start()
    for iteration in range(FREQ, 400 * FREQ, FREQ):
        list(automation.on_validation(ValidationFinished(iteration, {"val/psnr": rising(iteration)})))
    state = automation.state_dict()
    assert max(len(state[name]) for name in ("iterations", "values")) <= 30
    assert _is_plain(state)


def _is_plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (int, float, str, bool)


@pytest.mark.parametrize("preset", ["convenience", "fidelity"])
@pytest.mark.parametrize("curve", [flat, overfitted, rising])
def test_resumed_run_decides_like_an_uninterrupted_one(preset, curve):
    options = {"preset": preset, "max_adjustments": 3}
    schedule = MultiStepLR((15000,), 0.5)

    def feed(automation, first):
        found = []
        for t in range(first, TOTAL + 1, FREQ):
            list(automation.on_probe(ProbeFinished(t, crops(-2.9, seed=t), crops(-3, seed=t))))
            if t == 22000:
                automation.on_change(KnobChanged(t, "lr_factor", 1.0, 0.8))
            found += [
                (t, one)
                for one in automation.on_validation(
                    ValidationFinished(t, {"val/psnr": curve(t)}, crops(-3 - t / 1e5, seed=t))
                )
            ]
        return found

    whole = feed(start(options, schedule=schedule)[0], FREQ)
    assert whole
    for cut in random.Random(1).sample(range(2 * FREQ, TOTAL, FREQ), 7):
        before, _ = start(options, schedule=schedule)
        feed_until = [(t, one) for t, one in whole if t < cut]
        for t in range(FREQ, cut, FREQ):
            list(before.on_probe(ProbeFinished(t, crops(-2.9, seed=t), crops(-3, seed=t))))
            if t == 22000:
                before.on_change(KnobChanged(t, "lr_factor", 1.0, 0.8))
            list(before.on_validation(ValidationFinished(t, {"val/psnr": curve(t)}, crops(-3 - t / 1e5, seed=t))))
        state = pickle.loads(pickle.dumps(before.state_dict()))
        after, _ = start(options, schedule=schedule, load=state)
        assert feed_until + feed(after, cut) == whole


# Properties


@settings(max_examples=50)
@given(st.lists(st.one_of(st.floats(20, 40), st.sampled_from([math.nan, math.inf])), max_size=60), st.integers(0, 99))
def test_random_scores_give_at_most_one_stop_and_none_early(scores, shift):
    automation, _ = start()
    seen = []
    for place, score in enumerate(scores, 1):
        iteration = place * FREQ + shift
        seen += [
            (iteration, one) for one in automation.on_validation(ValidationFinished(iteration, {"val/psnr": score}))
        ]
    stops = [(at, one) for at, one in seen if isinstance(one, Stop)]
    assert len(stops) <= 1
    assert all(at >= 10000 or one.failed for at, one in stops)
    assert automation.summary()


@settings(max_examples=15)
@given(st.floats(-100, 100), st.floats(0.5, 2))
def test_offset_is_ignored(offset, slope):
    def at(shift):
        return stop_of(start()[0], lambda t: shift + slope * (1 - math.exp(-t / 3000)) + noise(t, 0.01))[0]

    assert at(round(offset * 4) / 4) == at(0.0)


def test_options_are_the_signature_and_strict():
    component = AUTOMATIONS["intelligent_early_stopping"]
    assert set(component.options.model_fields) == {
        *("preset", "patience", "min_improvement", "min_epochs", "min_iterations", "monitor_metric"),
        *("max_no_improvement", "improvement_threshold", "warmup_iterations", "min_projected_gain", "restore_best"),
        *("respect_schedule", "fallback", "max_adjustments"),
    }
    automation = component.build({"patience": 3000, "fallback": {"early_stopping": True}})
    assert automation.patience == 3000
    assert automation.has_fallback_rule
    assert issubclass(component.options, StrictOptions)
