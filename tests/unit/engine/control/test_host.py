"""The host on scripted automations: windows, probes, failures, fallbacks, records, state."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hostkit import Ruler, Scripted, Watching, drive, host, live, report, torch_round_trip

from traiNNer.engine.control.events import Disable, KnobChanged, Probe, Rollback, SetKnob
from traiNNer.engine.control.knobs import Range


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


def test_unread_values_do_not_accumulate():
    automation = Scripted()
    automation.every = 10**12
    built, _, _ = host(automation)
    drive(built, 1, 300)
    assert built.state_dict()["observations"]["steps"] == []


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


def test_summary_is_one_line():
    built, book, _ = host(Scripted(), Scripted(window={5: ValueError()}))
    drive(built, 1, 5)
    built.finish()
    assert (
        book.infos[-1]
        == "Automations: scripted: fine; scripted: fine (disabled); price: 0 iterations, 0 moves, purse 0 % of 2 %"
    )


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


def test_expected_score_is_told_after_a_quarter_of_the_run():
    class Steady(Ruler):
        def held_out(self):
            return [0.1], [0.1]

    built, book, _ = host(Watching(), probe=Steady())
    live(built, 1, 300)
    for iteration, scores in ((2400, {"val/psnr": 30.0}), (2500, {}), (10_000, {"val/psnr": 30.0})):
        built.after_validation(iteration, scores)
    assert [text for text in book.infos if "expected" in text] == ["expected 30.0 dB (30.0..30.0) at 10,000"]
    (event,) = (one for one in book.events if one["event"] == "prediction")
    assert event["predicted/psnr_low"] < event["predicted/psnr"] == 30.0 < event["predicted/psnr_high"]
