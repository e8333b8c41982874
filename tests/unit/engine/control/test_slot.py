"""One automation in its host: failures are contained, counts are kept."""

import math

import numpy as np
import pytest
import torch
from bookkit import Book

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Disable, RunStarted, SetKnob, Stop
from traiNNer.engine.control.knobs import LR_FACTOR, Knobs, Range
from traiNNer.engine.control.slot import AMONG, COUNTERS, MISSES_ALLOWED, REVERSALS, Slot, checked

KNOBS = (LR_FACTOR,)


class Plain(Automation):
    """Holds one number."""

    def __init__(self) -> None:
        self.memory = 0

    def state_dict(self):
        return {"memory": self.memory}

    def load_state_dict(self, state):
        self.memory = state["memory"]


def slot(automation: Automation | None = None, strict: bool = False, knobs: Knobs | None = None) -> tuple[Slot, Book]:
    book = Book()
    return Slot("Own", automation or Plain(), RunStarted(100, 8), knobs or Knobs(), book, strict), book


def fail(*_):
    raise ValueError("a mistake")


def test_decisions_are_checked_and_carry_the_next_request():
    made, _ = slot()
    made.automation.every, made.automation.needs = 5, "loss"
    decided = made.decide("window", lambda _: [SetKnob(LR_FACTOR, np.float32(0.5), "why")], KNOBS)
    (decision,) = decided.decisions
    assert (decision.value, type(decision.value)) == (0.5, float)
    assert (decided.every, decided.needs) == (5, "loss")


@pytest.mark.parametrize("ask", [fail, lambda _: ["nothing"], lambda _: [SetKnob("own", 1.0, "why")]])
def test_failing_automation_is_disabled_and_reported_once(ask):
    made, book = slot()
    for _ in range(2):
        assert made.decide("window", ask, KNOBS).decisions == [Disable("its window rule failed")]
    (shown,) = book.infos
    assert shown.startswith("Traceback")
    assert shown.endswith("(in the window rule of automation Own)")
    made.decide("validation", ask, KNOBS)
    assert len(book.infos) == 2


def test_strict_mode_errors_end_the_run():
    made, _ = slot(strict=True)
    with pytest.raises(ValueError, match="a mistake"):
        made.decide("window", fail, KNOBS)


def test_success_depends_on_exceptions_not_return_values():
    made, _ = slot()
    assert made.succeeds("load", lambda: None)
    assert not made.succeeds("load", fail)


def test_setting_up_gives_the_knobs_their_bounds():
    plain, knobs = Plain(), Knobs()
    plain.ranges = lambda run: {LR_FACTOR: Range(0.25, 2.0)}
    made, _ = slot(plain, knobs=knobs)
    assert plain.knobs is knobs
    assert made.claims == {LR_FACTOR: knobs[LR_FACTOR]}
    assert not made.has_failed
    assert (knobs[LR_FACTOR].low, knobs[LR_FACTOR].high) == (0.25, 2.0)


def test_automation_without_bounds_claims_no_knob():
    plain, knobs = Plain(), Knobs()
    before = (knobs[LR_FACTOR].low, knobs[LR_FACTOR].high)
    plain.ranges = lambda run: {LR_FACTOR: Range(0.25, 2.0), "own": Range(0, 1)}
    made, _ = slot(plain, knobs=knobs)
    assert made.has_failed
    assert made.claims == {}
    assert (knobs[LR_FACTOR].low, knobs[LR_FACTOR].high) == before


def test_knob_oscillates_after_enough_recent_reversals():
    made, _ = slot()
    for number in range(REVERSALS):
        made.count("a", number % 2 == 0)
    assert not made.oscillates("a")
    made.count("a", True)
    assert made.oscillates("a")
    assert not made.oscillates("b")
    assert made.adjustments == REVERSALS + 1
    for _ in range(AMONG):
        made.count("a", True)
    assert not made.oscillates("a")


def test_only_consecutive_misses_count():
    made, _ = slot()
    assert not any(made.misses_input(math.nan) for _ in range(MISSES_ALLOWED - 1))
    assert not made.misses_input(1.0)
    assert not any(made.misses_input(math.inf) for _ in range(MISSES_ALLOWED - 1))
    assert made.misses_input(math.nan)


def test_disabled_automation_gets_no_events_and_may_leave_a_fallback():
    made, _ = slot()
    assert made.listens
    assert not made.uses_fallback_rule
    made.is_off = True
    assert not made.listens
    assert not made.uses_fallback_rule
    made.automation.has_fallback_rule = True
    assert made.uses_fallback_rule


def test_counts_and_history_are_restored():
    made, _ = slot()
    made.automation.memory = 5
    made.count("a", True)
    made.misses, made.is_off, made.is_frozen = 3, True, True
    made.rest(70)
    other, _ = slot()
    other.load_state_dict(made.state_dict())
    assert other.automation.memory == 5
    assert {name: getattr(other, name) for name in COUNTERS} == {
        "adjustments": 1,
        "is_off": True,
        "is_frozen": True,
        "rests_until": 70,
        "misses": 3,
        "directions": {"a": [1]},
    }


def test_unreadable_memory_is_omitted_and_the_counts_stay():
    made, book = slot()
    made.automation.state_dict = fail
    state = made.state_dict()
    assert state["memory"] is None
    other, _ = slot()
    other.automation.memory = 4
    other.load_state_dict(state)
    assert other.automation.memory == 4
    assert len(book.infos) == 1


def test_impossible_decision_is_refused():
    with pytest.raises(TypeError, match="'x' is not a decision"):
        checked("x", KNOBS)
    with pytest.raises(ValueError, match=f"there is no knob 'own'; known: {LR_FACTOR}"):
        checked(SetKnob("own", 1.0, "why"), KNOBS)
    with pytest.raises(ValueError, match="cannot be set to a value that is not a number"):
        checked(SetKnob(LR_FACTOR, math.nan, "why"), KNOBS)


def test_evidence_becomes_plain():
    evidence = {"a": np.float32(0.5), "b": torch.tensor(2), "c": [1], "d": None, "e": "text"}
    plain = checked(Stop("why", evidence=evidence), KNOBS).evidence
    assert plain == {"a": 0.5, "b": 2, "c": "[1]", "d": None, "e": "text"}
    assert [type(plain[key]) for key in "ab"] == [float, int]
