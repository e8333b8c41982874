"""A run that the clock ends: plans at the measured pace, on a simulated clock."""

from itertools import count, pairwise

import pytest
import torch
from bookkit import Book

from traiNNer.config.options import ENDLESS
from traiNNer.engine.ending import Ending, Plan, Timing
from traiNNer.engine.runtime.runtime import Runtime

START, VALIDATION, SAVE = 5.0, 6.0, 1.0


class Machine:
    """A clock that the test moves: seconds an iteration takes, by the time at which it is done."""

    def __init__(self, pace=lambda now: 1.0):
        self.now, self.pace = 0.0, pace


def ending_of(machine, seconds=1000.0, share=0.3, most_iter=ENDLESS, val_freq=100, save_freq=250):
    timing = Timing(seconds, share, most_iter, val_freq, save_freq)
    return Ending(timing, Runtime(torch.device("cpu"), ""), lambda: machine.now)


def go(ending, machine, first=1, until=None):
    """Train from an iteration on as the loop does; return the factors that the iterations were trained with."""
    timing, factors = ending.timing, []
    for done in count(first):
        factors.append(ending(done - 1))
        machine.now += machine.pace(machine.now)
        ending.look(done)
        is_over = ending.end is not None and done >= ending.end
        for duty, every, seconds in (("validation", timing.val_freq, VALIDATION), ("save", timing.save_freq, SAVE)):
            if every and (done % every == 0 or is_over):
                with ending.aside(duty):
                    machine.now += seconds * machine.pace(machine.now)
        if is_over or done == until:
            break
    return factors


def test_even_pace_gives_the_schedule_known_in_hindsight():
    machine = Machine()
    machine.now = START
    ending = ending_of(machine)
    factors = go(ending, machine)
    total = len(factors)
    assert 0.99 * 1000 < machine.now <= 1000
    known = Plan(0, 1.0, round(0.7 * total), total)
    assert factors == pytest.approx([known(done) for done in range(total)], abs=0.02)
    assert factors[-1] == pytest.approx(1 / (total - known.hold), rel=0.05)


@pytest.mark.parametrize(("slow_from", "slow_until"), [(100, 300), (600, 2000), (750, 900), (850, 2000)])
def test_end_is_kept_on_a_machine_that_becomes_slower(slow_from, slow_until):
    machine = Machine(lambda now: 4.0 if slow_from <= now < slow_until else 1.0)
    ending = ending_of(machine)
    factors = go(ending, machine)
    assert machine.now == pytest.approx(1000, rel=0.02)
    assert factors[-1] < 0.05
    assert all(later <= before for before, later in pairwise(factors))


def test_machine_that_becomes_faster_uses_the_time_it_wins():
    machine = Machine(lambda now: 4.0 if now < 850 else 1.0)
    factors = go(ending_of(machine, val_freq=None), machine)
    assert machine.now == pytest.approx(1000, rel=0.02)
    assert len(factors) > 330  # 250 would have been all at the pace of the beginning


def test_last_validation_and_checkpoint_are_within_the_time():
    timing = Timing(100.0, 0.3, ENDLESS, 40, 1000)
    # 60 iterations, of which the 40th and the last are validated; one checkpoint.
    assert timing.cost(10, 60, 1.0, {"validation": 5.0, "save": 3.0}) == 50 + 2 * 5 + 3
    assert timing.reach(10, 63.0, 1.0, {"validation": 5.0, "save": 3.0}) == 60
    assert timing.reach(10, 62.9, 1.0, {"validation": 5.0, "save": 3.0}) == 59
    # The validation of the present iteration is still to be done.
    assert timing.cost(40, 40, 1.0, {"validation": 5.0, "save": 3.0}) == 5 + 3


def test_run_never_exceeds_its_iterations():
    machine = Machine()
    factors = go(ending_of(machine, most_iter=200), machine)
    assert len(factors) == 200
    assert machine.now < 300
    assert factors[139] == 1.0
    assert factors[-1] < 0.05


def test_time_that_is_over_ends_the_run_at_once():
    machine = Machine(lambda _: 600.0)
    assert len(go(ending_of(machine), machine)) == 2


def test_slow_first_iteration_says_nothing_of_the_pace():
    machine = Machine(lambda now: 90.0 if now == 0 else 1.0)
    ending = ending_of(machine, val_freq=None)
    go(ending, machine, until=30)
    assert ending.plans[0].end == pytest.approx(910, abs=2)


def test_resumed_run_repeats_the_decided_part_and_counts_its_own_time_only():
    machine = Machine(lambda now: 2.0 if now > 800 else 1.0)
    ending = ending_of(machine)
    go(ending, machine, until=700)
    decided, state = list(ending.plans), ending.state_dict()
    assert ending(699) < 1.0
    later = Machine(machine.pace)
    later.now = START  # a new process, days later; it needs a while to start
    resumed = ending_of(later)
    resumed.load_state_dict(state)
    assert resumed.go_on(700) is None
    assert [resumed(done) for done in range(700)] == [ending(done) for done in range(700)]
    assert resumed.spent == pytest.approx(machine.now + START)
    go(resumed, later, first=701)
    assert resumed.plans[: len(decided)] == decided
    assert machine.now + later.now == pytest.approx(1000, rel=0.02)


def test_start_of_a_resumed_run_is_not_taken_for_its_pace():
    machine = Machine()
    ending = ending_of(machine, val_freq=None)
    go(ending, machine, until=100)
    later = Machine()
    later.now = 60.0
    resumed = ending_of(later, val_freq=None)
    resumed.load_state_dict(ending.state_dict())
    go(resumed, later, first=101, until=150)
    assert resumed.end == pytest.approx(940, rel=0.08)


def test_more_time_brings_the_full_rate_back():
    machine = Machine()
    ending = ending_of(machine)
    total = len(go(ending, machine))
    resumed = ending_of(Machine(), seconds=2000.0)
    resumed.load_state_dict(ending.state_dict())
    plan = resumed.go_on(total)
    assert plan is not None
    assert plan.end == pytest.approx(2 * total, rel=0.05)
    assert resumed(total - 1) == ending(total - 1)
    assert resumed(total) == 1.0
    assert resumed(plan.end - 1) < 0.05


def test_clock_is_read_seldom():
    machine, reads = Machine(), []
    ending = ending_of(machine, seconds=20_000.0)
    measure = ending._measure
    ending._measure = lambda done: reads.append(done) or measure(done)
    go(ending, machine)
    assert len([done for done in reads if 1000 < done < 13_000]) < 300
    assert len(ending.plans) <= 6


def test_plan_is_a_line_for_the_user_and_a_decision():
    machine, book = Machine(), Book()
    ending = ending_of(machine)
    go(ending, machine, until=20)
    ending.tell(book, ending.plans[0])
    about = book.decisions[0]
    assert about["iter"] == ending.plans[0].start
    assert (about["automation"], about["action"], about["new"]) == ("end_at", "plan", ending.plans[0].end)
    assert about["evidence"]["hold"] == ending.plans[0].hold
    assert "the learning rate begins to fall after" in about["reason"]
