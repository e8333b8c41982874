"""What decisions do on a whole host: snapshots, rollbacks, stops, messages; shadow; state."""

from hostkit import Ruler, Scripted, Watching, drive, host, live, torch_round_trip

from traiNNer.engine.control.events import Disable, KeepSnapshot, MeasureTerms, Probe, Rollback, Say, SetKnob, Stop
from traiNNer.engine.control.knobs import Range


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


def test_probe_that_was_asked_for_survives_a_resume():
    before, _, _ = host(Watching(validation={5: [Probe("a bad score")]}), probe=Ruler())
    live(before, 1, 5)
    before.after_validation(5, {})
    automation = Watching()
    after, _, _ = host(automation, probe=Ruler())
    after.load_state_dict(torch_round_trip(before.state_dict()))
    live(after, 6, 8)
    assert [event.iteration for event in automation.probes] == [6]


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


def test_return_to_the_average_costs_no_iterations():
    built, book, done = host(Scripted(window={50: [Rollback("diverged", to="average")]}), average_iter=1.0)
    drive(built, 1, 50)
    assert done == [Rollback("diverged", to="average")]
    assert book.infos[-1].endswith("Rolled back to their average; training continues. Reason: diverged")
    assert built.effects.purse.spent == 0


def test_automation_may_disable_itself():
    built, book, _ = host(Scripted(window={5: [Disable("6 times out of memory in 1,000 iterations")]}))
    drive(built, 1, 5)
    assert "is disabled for the rest of the run: 6 times out of memory" in book.warnings[0]
