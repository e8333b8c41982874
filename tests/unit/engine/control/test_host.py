"""The host on scripted automations: bounds, counting, failures, fallbacks, shadow, records, state."""

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from bookkit import Book
from enginekit import host_of, report_of

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import (
    Disable,
    KeepSnapshot,
    KnobChanged,
    MeasureTerms,
    Probe,
    Rollback,
    RunStarted,
    Say,
    SetKnob,
    Stop,
    Undo,
)
from traiNNer.engine.control.knobs import Knobs, Range


class Scripted(Automation):
    """Answers events from `script[hook][iteration]`: a list of decisions or an exception."""

    every = 5

    def __init__(self, knob="lr_factor", bounds=None, **script):
        self.knob, self.bounds = knob, bounds or Range(0.1, 2.0)
        self.script = defaultdict(dict, script)
        self.windows, self.scores, self.changes = [], [], []

    def ranges(self, run):
        return {self.knob: self.bounds}

    def _answer(self, hook, iteration):
        answer = self.script[hook].get(iteration, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def on_start(self, run):
        return self._answer("start", run.iteration)

    def on_window(self, event):
        self.windows.append(event)
        return self._answer("window", event.iteration)

    def on_validation(self, event):
        self.scores.append(event.scores)
        return self._answer("validation", event.iteration)

    def on_failure(self, event):
        return self._answer(event.kind, event.iteration)

    def on_change(self, event):
        self.changes.append(event)
        self._answer("change", event.iteration)

    def summary(self):
        self._answer("summary", 0)
        return "scripted: fine"


def report(loss=0.5, norm=1.0, applied=True, reference=0.25):
    return report_of({"l1": float(loss)}, float(norm), applied, reference)


def host(*automations, **options):
    book = Book()
    names = {f"Automation{index or ''}": automation for index, automation in enumerate(automations)}
    about = {"metrics": {"val/psnr": "higher"}, "has_average": options.pop("has_average", False)}
    run = RunStarted(10_000, 8, anchor="l1", base_lr=1e-4, **about)
    done = []
    built = host_of(
        names, run, Knobs(1.0, 8, ("l1",)), book, act=lambda decision: done.append(decision) or True, **options
    )
    built.start(0)
    return built, book, done


def drive(built, start, end, **values):
    for iteration in range(start, end + 1):
        built.after_step(iteration, report(**values))


def test_window_holds_every_iteration_once():
    automation = Scripted()
    built, _, _ = host(automation)
    drive(built, 1, 12)
    assert [event.iteration for event in automation.windows] == [5, 10]
    assert [len(event.steps) for event in automation.windows] == [5, 5]
    step = automation.windows[0].steps[0]
    assert (step.applied, step.grad_norm, step.loss, step.reference) == (True, 1.0, 0.5, 0.25)
    assert step.signal() == pytest.approx(math.log(2))


def test_automations_share_windows():
    first, second = Scripted(), Scripted()
    second.every = 3
    built, _, _ = host(first, second)
    drive(built, 1, 6)
    assert [(event.iteration, len(event.steps)) for event in first.windows] == [(3, 3), (5, 2), (6, 1)]


def test_decision_is_applied_recorded_logged_and_counted():
    automation = Scripted(window={5: [SetKnob("lr_factor", 0.8, "plateau detection", {"estimate": 0.5})]})
    built, book, _ = host(automation)
    drive(built, 1, 5)
    assert built.knobs["lr_factor"].at(5) == 0.8
    assert "Automation Automation: LR multiplier 1.00 -> 0.80 (LR 8.0e-05), reason: plateau detection" in book.infos
    assert book.decisions == [
        {
            "iter": 5,
            "automation": "Automation",
            "knob": "lr_factor",
            "old": 1.0,
            "new": 0.8,
            "reason": "plateau detection",
            "evidence": {"estimate": 0.5},
            "n_adjustments": 1,
        }
    ]
    assert [(event.knob, event.old, event.new) for event in automation.changes] == [("lr_factor", 1.0, 0.8)]


@pytest.mark.parametrize(
    ("knob", "value", "sentence"),
    [
        ("micro_batch", 6, "Batch size adjusted from 8 to 6 due to high VRAM usage"),
        ("grad_clip", 1.2, "grad_clip_threshold adjusted from 1 to 1.2 due to high VRAM usage"),
        ("loss_weight.l1", 2.0, "loss_weight.l1 1 -> 2, reason: high VRAM usage"),
    ],
)
def test_sentences_are_those_of_the_guide(knob, value, sentence):
    automation = Scripted(knob, Range(0.1, 10.0), window={5: [SetKnob(knob, value, "high VRAM usage")]})
    built, book, _ = host(automation)
    drive(built, 1, 5)
    assert f"Automation Automation: {sentence}" in book.infos


def test_requests_are_clamped_and_no_change_is_silent():
    script = {5: [SetKnob("lr_factor", 9.0, "up")], 10: [SetKnob("lr_factor", 8.0, "up")]}
    script[15] = [SetKnob("lr_factor", 2.0 * 1.009, "a little")]
    built, book, _ = host(Scripted(window=script))
    drive(built, 1, 15)
    assert [(entry["new"], entry["evidence"]) for entry in book.decisions] == [(2.0, {"clamped_from": 9.0})]
    assert book.infos[-1].endswith("(bounded)")


def test_knob_freezes_at_the_limit_but_protection_stays():
    script = {5 * i: [SetKnob("lr_factor", 1 - i / 10, "down")] for i in range(1, 6)}
    script[30] = [SetKnob("lr_factor", 0.1, "divergence", forced=True)]
    automation = Scripted(window=script)
    automation.max_adjustments = 3
    built, book, _ = host(automation)
    drive(built, 1, 30)
    assert [entry["new"] for entry in book.decisions] == pytest.approx([0.9, 0.8, 0.7, 0.1])
    assert [entry["n_adjustments"] for entry in book.decisions] == [1, 2, 3, 3]
    assert len(book.warnings) == 1
    assert "max_adjustments (3) is reached" in book.warnings[0]
    assert built.knobs["lr_factor"].is_frozen


@pytest.mark.parametrize("hook", ["start", "window", "validation"])
def test_automation_that_raises_is_disabled_with_its_fallback_active(hook):
    place = {"start": 0, "window": 10, "validation": 12}[hook]
    script = {"window": {5: [SetKnob("lr_factor", 0.5, "down")]}} if hook != "start" else {}
    script.setdefault(hook, {})[place] = ValueError("boom")
    automation, other = Scripted(bounds=Range(0.1, 2.0, fallback=0.9), **script), Scripted("grad_clip")
    built, book, _ = host(automation, other)
    drive(built, 1, 12)
    built.after_validation(12, {"val/psnr": 30.0})
    drive(built, 13, 20)
    assert built.knobs["lr_factor"].at(20) == 0.9
    assert len(book.warnings) == 1
    assert f"its {hook} rule failed" in book.warnings[0]
    assert sum("ValueError: boom" in text for text in book.infos) == 1
    assert book.decisions[-1]["action"] == "fallback"
    assert [event.iteration for event in other.windows] == [5, 10, 15, 20]
    before = len(automation.windows)
    drive(built, 21, 40)
    assert len(automation.windows) == before


@pytest.mark.parametrize("hook", ["out of memory", "not finite"])
def test_failure_rule_that_raises_is_disabled(hook):
    built, book, _ = host(Scripted(**{hook: {1: ValueError("boom"), 0: ValueError("boom")}}))
    _ = built.out_of_memory() if hook == "out of memory" else built.not_finite()
    assert "its failure rule failed" in book.warnings[0]


def test_summary_that_raises_is_reported_and_not_fatal():
    built, book, _ = host(Scripted(summary={0: ValueError("boom")}))
    built.finish()
    assert any("ValueError: boom" in text for text in book.infos)


def test_change_rule_that_raises_disables_its_automation():
    one, two = Scripted(window={5: [SetKnob("lr_factor", 0.5, "down")]}), Scripted("grad_clip", change={5: KeyError()})
    built, book, _ = host(one, two)
    drive(built, 1, 5)
    assert [slot.is_off for slot in built.slots] == [False, True]
    assert built.knobs["lr_factor"].at(5) == 0.5
    assert "its change rule failed" in book.warnings[0]


class WithoutRanges(Scripted):
    def ranges(self, run):
        raise ValueError("boom")


def test_ranges_that_raise_disable_the_automation():
    built, book, _ = host(WithoutRanges(window={5: [SetKnob("lr_factor", 0.5, "down")]}))
    drive(built, 1, 5)
    assert "its ranges rule failed" in book.warnings[0]
    assert built.knobs["lr_factor"].at(5) == 1.0


@pytest.mark.parametrize(
    "decision",
    [
        SetKnob("lr_factr", 0.5, "a typo"),
        SetKnob("lr_factor", math.nan, "not a number"),
        SetKnob("lr_factor", "a lot", "not a number"),
        "stop",
        None,
    ],
)
def test_impossible_decision_disables_its_automation(decision):
    built, book, _ = host(Scripted(window={5: [decision]}))
    drive(built, 1, 5)
    assert "its window rule failed" in book.warnings[0]
    assert built.knobs["lr_factor"].at(5) == 1.0


def test_foreign_number_types_are_recorded_as_plain_numbers():
    evidence = {"a": np.float32(0.5), "b": torch.tensor(2), "c": Range(), "d": None}
    built, book, _ = host(Scripted(window={5: [SetKnob("lr_factor", np.float32(0.5), "down", evidence)]}))
    drive(built, 1, 5)
    assert book.decisions[0]["evidence"] == {"a": 0.5, "b": 2, "c": str(Range()), "d": None}


def test_one_burst_of_nan_is_one_recovery():
    automation = Scripted(window={7: [Rollback("seen in the window")]}, **{"not finite": {7: [Rollback("requested")]}})
    built, _, done = host(automation)
    drive(built, 1, 7)
    assert built.not_finite()
    assert len(done) == 1


def test_rewind_without_a_snapshot_does_nothing():
    built, _, _ = host(Scripted(**{"not finite": {7: [Rollback("requested")]}}))
    built.effects.actions[Rollback] = lambda decision: False
    drive(built, 1, 7)
    assert not built.not_finite()


def test_unread_values_do_not_accumulate():
    automation = Scripted()
    automation.every = 10**12
    built, _, _ = host(automation)
    drive(built, 1, 300)
    assert built.state_dict()["observations"]["steps"] == []


def test_knob_without_automation_keeps_the_file_value():
    before, _, _ = host(Scripted(window={5: [SetKnob("lr_factor", 0.5, "down")]}), Scripted("grad_clip"))
    drive(before, 1, 5)
    after, _, _ = host(Scripted("grad_clip"))
    after.load_state_dict(torch_round_trip(before.state_dict()))
    assert after.knobs["lr_factor"].at(6) == 1.0


def test_disabling_is_a_change_event_for_the_others():
    one, two = (
        Scripted(bounds=Range(0.1, 2.0, start=0.5, fallback=1.0), window={5: ValueError()}),
        Scripted("grad_clip"),
    )
    built, _, _ = host(one, two)
    drive(built, 1, 5)
    assert [(event.knob, event.old, event.new) for event in two.changes] == [("lr_factor", 0.5, 1.0)]


def test_abandoned_larger_batch_is_reset():
    script = {5: [SetKnob("batch_size", 16, "idle memory")], 10: ValueError()}
    built, _, _ = host(Scripted("batch_size", Range(1, 32, fallback=8), window=script))
    drive(built, 1, 10)
    assert [built.plan.size(i) for i in (68, 69, 73, 74)] == [8, 16, 16, 8]


def test_windows_report_the_trained_batch_size():
    automation = Scripted("batch_size", Range(1, 32), window={5: [SetKnob("batch_size", 16, "idle memory")]})
    built, _, _ = host(automation)
    built.plan.lead = 3
    drive(built, 1, 15)
    assert [event.batch for event in automation.windows] == [8, None, 16]


def test_strict_lets_exceptions_through():
    built, _, _ = host(Scripted(window={5: ValueError("boom")}), strict=True)
    with pytest.raises(ValueError, match="boom"):
        drive(built, 1, 5)


@pytest.mark.parametrize(("needs", "values"), [("signal", {"loss": math.nan}), ("grad_norm", {"norm": math.inf})])
def test_hundred_missing_inputs_in_a_row_are_reported(needs, values):
    automation = Scripted()
    automation.needs = needs
    built, book, _ = host(automation)
    drive(built, 1, 95, **values)
    drive(built, 96, 96)
    drive(built, 97, 195, **values)
    assert not book.warnings
    drive(built, 196, 200, **values)
    assert f"{needs} was missing 100 times in a row" in book.warnings[0]


def test_long_missing_metric_is_reported():
    automation = Scripted()
    automation.needs = "val/psnr"
    built, book, _ = host(automation)
    for iteration in range(99):
        built.after_validation(iteration, {})
    assert not book.warnings
    built.after_validation(99, {"val/psnr": math.nan})
    assert "val/psnr was missing 100 times in a row" in book.warnings[0]


def test_oscillation_disables_it():
    script = {5 * i: [SetKnob("lr_factor", 1.0 if i % 2 else 0.5, "hm")] for i in range(2, 30)}
    built, book, _ = host(Scripted(window=script))
    drive(built, 1, 100)
    assert len([entry for entry in book.decisions if entry["knob"]]) == 5
    assert "lr_factor oscillates" in book.warnings[0]


def test_automation_may_disable_itself():
    built, book, _ = host(Scripted(window={5: [Disable("6 times out of memory in 1,000 iterations")]}))
    drive(built, 1, 5)
    assert "is disabled for the rest of the run: 6 times out of memory" in book.warnings[0]


def test_snapshot_rewind_stop_and_messages():
    stop = Stop("no improvement in val/psnr for 5000 iterations", {"window": 10}, best="val/psnr")
    decisions = [KeepSnapshot(), Rollback("divergence"), Say("hello"), Say("careful", warn=True), MeasureTerms(3), stop]
    built, book, done = host(Scripted(window={5: decisions}))
    drive(built, 1, 5)
    assert [type(decision) for decision in done] == [KeepSnapshot, Rollback, MeasureTerms]
    assert built.stop == stop
    assert (
        "Automation Automation: Early stopping triggered - no improvement in val/psnr for 5000 iterations" in book.infos
    )
    assert book.warnings == ["Automation Automation: careful"]
    assert [entry["action"] for entry in book.decisions] == ["rollback", "stop"]
    drive(built, 6, 8)
    assert done[-1] == MeasureTerms(0)


def test_rewind_without_a_snapshot_is_reported():
    built, book, _ = host(Scripted(window={5: [Rollback("divergence")]}))
    built.effects.actions[Rollback] = lambda decision: False
    drive(built, 1, 5)
    assert "there are no good weights to return to" in book.infos[-1]


def test_automation_can_keep_a_nonfinite_run_alive():
    automation = Scripted(**{"not finite": {7: [Rollback("not finite")]}})
    built, _, done = host(automation)
    drive(built, 1, 7)
    assert built.not_finite()
    assert len(automation.windows[-1].steps) == 2  # it got the open window first
    assert len(done) == 1
    assert not host(Scripted())[0].not_finite()


def test_oom_reduces_the_micro_batch():
    automation = Scripted(
        "micro_batch", Range(1, 8), **{"out of memory": {1: [SetKnob("micro_batch", 4, "out of memory", forced=True)]}}
    )
    built, book, _ = host(automation)
    assert built.out_of_memory()
    assert built.knobs["micro_batch"].at() == 4
    assert book.decisions[0]["n_adjustments"] == 0
    built.after_step(1, report())
    # No smaller size is known: the same one is tried twice more, then the run ends.
    assert [built.out_of_memory() for _ in range(3)] == [True, True, False]
    built.after_step(2, report())
    assert built.out_of_memory()


def test_run_stays_protected_after_the_automation_is_disabled():
    built, _, _ = host(Scripted("micro_batch", Range(1, 8), window={5: [Disable("too often")]}))
    drive(built, 1, 5)
    assert [built.out_of_memory() for _ in range(6)] == [True] * 5 + [False]
    assert built.knobs["micro_batch"].at() == 1
    resumed, _, _ = host(Scripted("micro_batch", Range(1, 8)))
    resumed.load_state_dict(torch_round_trip(built.state_dict()))
    assert resumed.knobs["micro_batch"].at() == 1


def test_shadow_mode_only_records():
    decisions = [SetKnob("lr_factor", 0.5, "down"), KeepSnapshot(), Rollback("x"), Stop("enough")]
    automation = Scripted(bounds=Range(0.1, 2.0, start=0.9), window={5: decisions}, validation={6: ValueError()})
    built, book, done = host(automation, shadow=True)
    drive(built, 1, 5)
    built.after_validation(6, {})
    assert built.knobs["lr_factor"].value == 0.5
    assert built.knobs["lr_factor"].at(7) == 1.0
    assert not done
    assert built.stop is None
    assert all(entry["shadow"] for entry in book.decisions)
    assert len(book.decisions) == 4
    assert sum("(shadow: not applied)" in text for text in book.infos) == 3


def test_resumed_host_continues_where_it_was():
    def script():
        return Scripted(window={15: [SetKnob("lr_factor", 0.7, "later")], 5: [SetKnob("lr_factor", 0.5, "down")]})

    straight, straight_book, _ = host(script())
    drive(straight, 1, 20)
    before, _, _ = host(script())
    drive(before, 1, 8)
    after, book, _ = host(script())
    after.load_state_dict(torch_round_trip(before.state_dict()))
    after.start(8)
    drive(after, 9, 20)
    assert book.decisions == straight_book.decisions[1:]
    assert [len(event.steps) for event in after.slots[0].automation.windows] == [5, 5, 5]
    assert after.knobs["lr_factor"].value == straight.knobs["lr_factor"].value


def torch_round_trip(state):
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_disabled_automation_stays_off_after_resume():
    before, _, _ = host(Scripted(window={5: ValueError("boom")}))
    drive(before, 1, 5)
    after, book, _ = host(Scripted())
    after.load_state_dict(torch_round_trip(before.state_dict()))
    after.start(5)
    drive(after, 6, 20)
    assert after.slots[0].is_off
    assert not after.slots[0].automation.windows
    assert not book.warnings


def test_stop_is_remembered_unless_its_automation_changed():
    same = {"options": {"Automation": {"patience": 5}}}
    before, _, _ = host(Scripted(window={5: [Stop("enough", best="val/psnr", failed=True)]}), **same)
    drive(before, 1, 5)
    after, _, _ = host(Scripted(), **same)
    after.load_state_dict(torch_round_trip(before.state_dict()))
    assert (after.stop.reason, after.stop.best, after.stop.failed) == ("enough", "val/psnr", True)
    changed, _, _ = host(Scripted(), options={"Automation": {"patience": 9}})
    changed.load_state_dict(torch_round_trip(before.state_dict()))
    assert changed.stop is None


def test_summary_is_one_line():
    built, book, _ = host(Scripted(), Scripted(window={5: ValueError()}))
    drive(built, 1, 5)
    built.finish()
    assert (
        book.infos[-1]
        == "Automations: scripted: fine; scripted: fine (disabled); price: 0 iterations, 0 moves, purse 0 % of 2 %"
    )


class Watching(Scripted):
    """Looks at the probe too."""

    def __init__(self, **script):
        super().__init__("grad_clip", Range(0.1, 10.0), **script)
        self.probes = []

    def on_probe(self, event):
        self.probes.append(event)
        return self._answer("probe", event.iteration)


class Ruler:
    """Counts how often it is asked; the errors are that number."""

    def __init__(self):
        self.asked = 0

    def held_out(self):
        self.asked += 1
        return [float(self.asked)] * 2, [0.5, 0.25]

    def training(self):
        return [0.125]


def live(built, start, end, **values):
    for iteration in range(start, end + 1):
        built.after_step(iteration, report(**values))
        built.after_iteration()


def test_regular_probe_comes_every_hundred_iterations_to_those_that_look():
    automation, ruler = Watching(), Ruler()
    built, _, _ = host(automation, Scripted(), probe=ruler)
    live(built, 1, 250)
    assert [(e.iteration, e.live, e.average) for e in automation.probes] == [
        (100, [1.0, 1.0], [0.5, 0.25]),
        (200, [2.0, 2.0], [0.5, 0.25]),
    ]
    unwatched = Ruler()
    live(host(Scripted(), probe=unwatched)[0], 1, 250)
    assert unwatched.asked == 0


def test_probe_that_is_asked_for_comes_in_the_same_iteration_and_once():
    automation = Watching(window={5: [Probe("an alarm")]}, probe={5: [Probe("again")]})
    built, _, _ = host(Scripted(window={5: [Probe("mine too")]}), automation, probe=Ruler())
    live(built, 1, 20)
    assert [event.iteration for event in automation.probes] == [5, 6]


def test_probe_that_was_asked_for_survives_a_resume():
    before, _, _ = host(Watching(validation={5: [Probe("a bad score")]}), probe=Ruler())
    live(before, 1, 5)
    before.after_validation(5, {})
    automation = Watching()
    after, _, _ = host(automation, probe=Ruler())
    after.load_state_dict(torch_round_trip(before.state_dict()))
    live(after, 6, 8)
    assert [event.iteration for event in automation.probes] == [6]


def test_without_a_probe_nothing_is_measured_and_nothing_breaks():
    automation = Watching(window={5: [Probe("an alarm")]})
    live(host(automation)[0], 1, 100)
    broken = Ruler()
    broken.held_out = lambda: None  # memory ran out
    live(host(automation, probe=broken)[0], 1, 100)
    assert automation.probes == []


def test_validation_brings_the_errors_on_training_crops():
    seen = []
    automation = Scripted()
    automation.on_validation = lambda event: seen.append(event.training) or []
    for probe in (Ruler(), None):
        host(automation, probe=probe)[0].after_validation(5, {"val/psnr": 30.0})
    assert seen == [[0.125], ()]


UP = {5: [SetKnob("grad_clip", 1.2, "up")], 10: [SetKnob("grad_clip", 1.4, "up")]}


def test_undo_takes_back_all_that_another_did_lately_and_lets_it_rest():
    mover = Scripted("grad_clip", Range(0.1, 10.0), window=UP | {25: [SetKnob("grad_clip", 1.6, "up")]})
    asker = Scripted(window={15: [SetKnob("lr_factor", 0.9, "mine")], 20: [Undo("the loss rose", {"estimate": 2})]})
    built, book, _ = host(mover, asker)
    drive(built, 1, 30)
    assert built.knobs["grad_clip"].value == 1.0
    assert built.knobs["lr_factor"].value == 0.9
    entry = book.decisions[-1]
    assert (entry["iter"], entry["automation"], entry["old"], entry["new"]) == (20, "Automation", 1.4, 1.0)
    assert entry["reason"] == "undone by Automation1: the loss rose"
    assert entry["evidence"] == {"estimate": 2}
    assert entry["n_adjustments"] == 2
    assert (asker.changes[-1].knob, asker.changes[-1].new) == ("grad_clip", 1.0)


def test_undo_without_a_recent_move_of_another_changes_nothing():
    own = Scripted(window={5: [SetKnob("lr_factor", 0.9, "mine")], 10: [Undo("the loss rose")]})
    neutral = Scripted("micro_batch", Range(1, 8), window={5: [SetKnob("micro_batch", 4, "memory")]})
    built, book, _ = host(own, neutral)
    drive(built, 1, 10)
    assert len(book.decisions) == 2
    old = Scripted("grad_clip", Range(0.1, 10.0), window=UP)
    late, book, _ = host(old, Scripted(window={2015: [Undo("the loss rose")]}))
    drive(late, 1, 2015)
    assert late.knobs["grad_clip"].value == 1.4
    assert [slot.rests_until for slot in late.slots] == [0, 0]


def test_what_may_be_undone_survives_a_resume():
    before, _, _ = host(Scripted("grad_clip", Range(0.1, 10.0), window=UP), Scripted())
    drive(before, 1, 12)
    after, _, _ = host(
        Scripted("grad_clip", Range(0.1, 10.0), window={20: [SetKnob("grad_clip", 2.0, "up")]}),
        Scripted(window={15: [Undo("the loss rose")]}),
    )
    after.load_state_dict(torch_round_trip(before.state_dict()))
    drive(after, 13, 20)
    assert after.knobs["grad_clip"].value == 1.0


def test_larger_batch_can_be_undone_although_it_does_not_count():
    grow = [SetKnob("batch_size", 16, "idle memory", forced=True), SetKnob("lr_batch", 1.4, "larger", forced=True)]
    built, _, _ = host(Scripted("batch_size", Range(1, 32), window={5: grow}), Scripted(window={10: [Undo("rose")]}))
    drive(built, 1, 10)
    assert (built.knobs["batch_size"].value, built.knobs["lr_batch"].value) == (8, 1.0)


def test_purse_counts_lost_and_slowed_iterations_and_then_allows_protection_only():
    """Of 10,000 iterations 200 may be lost: 30 by a rollback, the rest below the user's rate."""
    rate = Scripted(
        window={
            20: [KeepSnapshot()],
            50: [Rollback("diverged"), SetKnob("lr_factor", 0.5, "diverged", forced=True)],
            300: [SetKnob("lr_factor", 0.25, "diverged", forced=True)],
            305: [SetKnob("lr_factor", 1.5, "up"), SetKnob("lr_factor", 1.0, "back")],
        }
    )
    moves = [SetKnob("grad_clip", 1.2, "up"), SetKnob("grad_clip", 1.1, "again")]
    clip = Scripted("grad_clip", Range(0.1, 10.0), window={215: moves[:1], 225: moves[1:]})
    balance = Scripted("loss_weight.l1", window={225: [SetKnob("loss_weight.l1", 2.0, "as the user asked")]})
    memory = Scripted("micro_batch", Range(1, 8), window={225: [SetKnob("micro_batch", 4, "an exact split")]})
    built, book, _ = host(rate, clip, balance, memory)
    drive(built, 1, 219)
    assert built.effects.purse.numbers() == {"iterations": 199, "moves": 2, "share": 0.0199, "limit": 0.02}
    drive(built, 220, 310)
    assert built.knobs["grad_clip"].value == 1.2
    assert [entry["new"] for entry in book.decisions if entry["knob"]] == [0.5, 1.2, 2.0, 4, 0.25, 1.0]
    told = [text for text in book.infos if "only protect" in text]
    assert told == [
        "Automations: from iteration 220 on they only protect (price: 200 iterations, 2 moves, purse 2 % of 2 %)."
    ]
    assert next(entry for entry in book.decisions if entry.get("action"))["evidence"] == {"lost": 30}
    built.finish()
    assert book.events == [
        {"event": "automations", "iter": 310, "iterations": 285, "moves": 6, "share": 0.0285, "limit": 0.02}
    ]


def test_purse_survives_a_resume():
    def rate():
        return Scripted(window={5: [SetKnob("lr_factor", 0.5, "diverged", forced=True)]})

    before, _, _ = host(rate())
    drive(before, 1, 150)
    after, book, _ = host(rate())
    after.load_state_dict(torch_round_trip(before.state_dict()))
    drive(after, 151, 205)
    assert sum("only protect" in text for text in book.infos) == 1
    assert after.effects.purse.spent == 200


def test_return_to_the_average_costs_no_iterations():
    built, book, done = host(Scripted(window={50: [Rollback("diverged", to="average")]}), has_average=True)
    drive(built, 1, 50)
    assert done == [Rollback("diverged", to="average")]
    assert book.infos[-1].endswith("Rolled back to their average; training continues. Reason: diverged")
    assert built.effects.purse.spent == 0


def test_changes_of_the_option_file_end_a_window_and_are_told():
    automation = Scripted()
    built, _, _ = host(automation)
    told = []
    automation.on_change = told.append
    changes = [KnobChanged(7, "loss_weight.l1", 1.0, 0.0), KnobChanged(7, "crop_size", 8, 16)]
    built.run = replace(built.run, changes=changes)
    drive(built, 1, 10)
    assert [(event.iteration, len(event.steps)) for event in automation.windows] == [(5, 5), (7, 2), (10, 3)]
    assert told == changes
