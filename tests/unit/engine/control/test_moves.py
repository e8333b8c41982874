"""How knobs are moved on a whole host: bounds, counting, records, freezing, undoing."""

import pytest
from hostkit import Scripted, drive, host, torch_round_trip

from traiNNer.engine.control.events import SetKnob, Undo
from traiNNer.engine.control.knobs import Range


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


def test_change_rule_that_raises_disables_its_automation():
    one, two = Scripted(window={5: [SetKnob("lr_factor", 0.5, "down")]}), Scripted("grad_clip", change={5: KeyError()})
    built, book, _ = host(one, two)
    drive(built, 1, 5)
    assert [slot.is_off for slot in built.slots] == [False, True]
    assert built.knobs["lr_factor"].at(5) == 0.5
    assert "its change rule failed" in book.warnings[0]


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


def test_oscillation_disables_it():
    script = {5 * i: [SetKnob("lr_factor", 1.0 if i % 2 else 0.5, "hm")] for i in range(2, 30)}
    built, book, _ = host(Scripted(window=script))
    drive(built, 1, 100)
    assert len([entry for entry in book.decisions if entry["knob"]]) == 5
    assert "lr_factor oscillates" in book.warnings[0]


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
