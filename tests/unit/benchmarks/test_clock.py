from runkit import workplace

from benchmarks.automations.photos import Pairs, Photos
from benchmarks.clock import Machine, Result, Trials, table


def test_machine_is_up_to_four_times_slower_at_random_times():
    machine, seconds = Machine(3, 1000.0), []
    while machine.now < 1000:
        before = machine.now
        machine.work(1.0)
        seconds.append(machine.now - before)
    assert min(seconds) >= 1.0
    assert 1.5 < max(seconds) < 4.0 * 1.3
    assert machine.slow == Machine(3, 1000.0).slow != Machine(4, 1000.0).slow


def test_run_by_the_clock_and_its_hindsight_are_trained(tmp_path):
    place = workplace(tmp_path)
    train, test = (Pairs(place / name / "hr", place / name / "lr") for name in ("data", "val"))
    result = Trials(Photos(train, train, test, "val"), 60.0).run(0)
    assert abs(result.off) < 0.2  # a validation is a large part of so short a run
    assert result.plans >= 2
    assert 10 < min(result.clock, result.hindsight) < 60


def test_table_says_what_was_lost():
    rows = table([Result(0, 0.01, 500, 4, 35.0, 35.1), Result(1, -0.02, 400, 6, 35.2, 35.2)])
    assert "| 1.50%, 2.00% | 2 % |" in rows
    assert "| +0.050 +- 0.098 dB | 0.05 dB |" in rows
    assert "| 5, 6 |" in rows
