import pytest

from traiNNer.engine.log.clock import Clock


@pytest.fixture
def at(monkeypatch):
    """Return a list of the times that the clock will read."""
    times: list[float] = []
    monkeypatch.setattr("time.perf_counter", lambda: times.pop(0))
    return times


def test_speed_and_wait_share_count_only_the_measured_block(at):
    clock = Clock()
    at += [0, 1, 10, 13, 50, 52]
    with clock.waiting():
        pass
    for _ in range(2):
        with clock.working():
            pass
    speed, share = clock.read()
    assert (speed, share) == (pytest.approx(2 / 6), pytest.approx(1 / 6))


def test_reading_restarts(at):
    clock = Clock()
    at += [0, 1, 0, 4, 0, 2]
    with clock.waiting():
        pass
    with clock.working():
        pass
    clock.read()
    assert clock.read() == (0.0, 0.0)
    with clock.working():
        pass
    assert clock.read() == (0.5, 0.0)


def test_validations_are_told_as_a_share_of_the_time(at):
    clock = Clock()
    at += [100, 101, 110, 113, 120, 121, 180]
    with clock.waiting():
        pass
    for _ in range(2):
        with clock.validating():
            pass
    assert clock.validations == 2
    assert clock.describe_validations() == "2 validations took 4.0 s, 5% of the time"
