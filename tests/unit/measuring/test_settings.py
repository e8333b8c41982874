"""A setting is chosen if it is faster with the same result."""

import time
from dataclasses import dataclass

import pytest

from traiNNer.measuring import settings as module
from traiNNer.measuring.settings import Candidate, TooSlow, compare_settings


@dataclass(frozen=True)
class Options:
    """The switches, as options that can be copied."""

    fast: bool = False
    other: bool = False
    use_compile: bool = False

    def model_copy(self, update):
        return Options(**{**self.__dict__, **update})


def compare(monkeypatch, seconds, losses=lambda options: [1.0, 1.0], candidates=None, **more):
    class Timed:
        def __init__(self, options, sets, at_most_s=None):
            self.options, self.losses = options, losses(options)
            self.small_s = self.step_s = seconds(options)
            self.first_step_s = 7.0
            if at_most_s is not None and self.small_s > at_most_s:
                raise TooSlow

        def block(self, steps):
            return seconds(self.options)

    monkeypatch.setattr(module, "_Timed", Timed)
    candidates = candidates or (Candidate("fast", {"fast": True}, 0.01),)
    return list(compare_settings(Options(), {}, candidates, lambda _: None, **more))


def test_faster_setting_is_chosen(monkeypatch):
    ((result, options),) = compare(monkeypatch, lambda o: 0.1 if o.fast else 0.2)
    assert result.is_taken
    assert result.ratio == pytest.approx(2)
    assert options.fast


@pytest.mark.parametrize("seconds", [0.2, 0.196, 0.25, 0.35, 2.0])
def test_setting_not_clearly_faster_is_rejected(monkeypatch, seconds):
    ((result, options),) = compare(monkeypatch, lambda o: seconds if o.fast else 0.2)
    assert not result.is_taken
    assert not options.fast


@pytest.mark.parametrize("loss", [1.02, 0.9, float("nan")])
def test_setting_with_different_output_is_rejected(monkeypatch, loss):
    ((result, _),) = compare(monkeypatch, lambda o: 0.1 if o.fast else 0.2, lambda o: [1.0, loss if o.fast else 1.0])
    assert not result.is_taken
    assert "differ" in result.note


def test_trial_that_takes_too_long_is_a_result(monkeypatch):
    """A bf16 trial on a processor that only imitates it must not end the measuring."""
    monkeypatch.setattr(module, "LEAST_TRIAL_S", 0.05)

    def losses(options):
        while options.fast:
            time.sleep(0.01)
        return [1.0, 1.0]

    candidates = (Candidate("fast", {"fast": True}, 0.01), Candidate("other", {"other": True}, 0.01))
    (late, _), (next_one, options) = compare(monkeypatch, lambda o: 0.1 if o.other else 0.2, losses, candidates)
    assert not late.is_taken
    assert late.note.startswith("slower: not through its first steps after ")
    assert next_one.is_taken
    assert (options.fast, options.other) == (False, True)


def test_failure_is_reported_and_the_next_is_tried(monkeypatch):
    def seconds(options):
        if options.fast:
            raise RuntimeError("no compiler\nat all")
        return 0.1 if options.other else 0.2

    candidates = (Candidate("fast", {"fast": True}, 0.01), Candidate("other", {"other": True}, 0.01))
    first, second = compare(monkeypatch, seconds, candidates=candidates)
    assert (first[0].is_taken, first[0].note) == (False, "no compiler")
    assert second[0].is_taken
    assert second[1] == Options(other=True)


def test_one_sided_noise_does_not_make_a_setting_faster(monkeypatch):
    """The old setting is slow in most blocks, as beside another program, but its best block is as fast."""
    times = iter([0.2, 0.2] + [0.4, 0.2] * 3 + [0.2, 0.2] * 20)
    ((result, _),) = compare(monkeypatch, lambda o: next(times))
    assert not result.is_taken


def test_costly_setting_may_be_refused(monkeypatch):
    ((result, _),) = compare(monkeypatch, lambda o: 0.1 if o.fast else 0.2, worth=lambda found: found.first_step_s < 5)
    assert not result.is_taken
    assert "takes 7 s to start" in result.note
