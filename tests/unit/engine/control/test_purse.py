"""What automations may cost, alone and on a whole host."""

import pytest
from hostkit import Scripted, drive, host, torch_round_trip

from traiNNer.engine.control.events import KeepSnapshot, Rollback, SetKnob
from traiNNer.engine.control.knobs import Range
from traiNNer.engine.control.purse import Purse

DIP = SetKnob("lr_factor", 0.9, "diverged", forced=True, dip=0.5, hold=100)


def test_two_percent_empty_it_once():
    purse = Purse(1000)
    assert [purse.spend(19), purse.is_empty, purse.spend(1), purse.is_empty, purse.spend(5)] == [
        *(False, False, True, True, False)
    ]
    purse.count_move()
    assert str(purse) == "price: 25 iterations, 1 moves, purse 2.5 % of 2 %"
    again = Purse(1000)
    again.load_state_dict(purse.state_dict())
    assert again.numbers() == purse.numbers() == {"iterations": 25, "moves": 1, "share": 0.025, "limit": 0.02}


def test_lost_iterations_and_those_of_a_dip_count_and_then_only_protection_is_allowed():
    """Of 10,000 iterations 200 may go: 30 are lost by a rollback, the others in a dip and on the way up from it."""
    rate = Scripted(
        window={
            20: [KeepSnapshot()],
            50: [Rollback("diverged"), DIP],
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
    assert [entry["new"] for entry in book.decisions if entry["knob"]] == [0.9, 1.2, 2.0, 4, 0.25, 1.0]
    told = [text for text in book.infos if "only protect" in text]
    assert told == [
        "Automations: from iteration 220 on they only protect (price: 200 iterations, 2 moves, purse 2 % of 2 %)."
    ]
    assert next(entry for entry in book.decisions if entry.get("action"))["evidence"] == {"lost": 30}
    built.finish()
    assert book.events == [
        {"event": "automations", "iter": 310, "iterations": 230, "moves": 6, "share": 0.023, "limit": 0.02}
    ]


def test_cuts_that_last_cost_nothing_so_a_second_plateau_may_still_be_answered():
    cuts = {50: [SetKnob("lr_factor", 0.5, "plateau")], 900: [SetKnob("lr_factor", 0.25, "plateau")]}
    built, _, _ = host(Scripted(window=cuts))
    drive(built, 1, 1000)
    assert built.knobs["lr_factor"].value == 0.25
    assert built.effects.purse.spent == 0


@pytest.mark.parametrize(("is_shadow", "failure", "spent"), [(True, [], 0), (False, ValueError("boom"), 5)])
def test_a_dip_that_is_not_applied_costs_nothing(is_shadow, failure, spent):
    built, _, _ = host(Scripted(window={50: [DIP], 55: failure}), shadow=is_shadow)
    drive(built, 1, 300)
    assert built.effects.purse.spent == spent


def test_purse_survives_a_resume():
    def rate():
        return Scripted(window={5: [DIP]})

    before, _, _ = host(rate())
    drive(before, 1, 105)
    after, book, _ = host(rate())
    after.load_state_dict(torch_round_trip(before.state_dict()))
    drive(after, 106, 250)
    assert after.effects.purse.spent == 200
    assert sum("only protect" in text for text in book.infos) == 1
