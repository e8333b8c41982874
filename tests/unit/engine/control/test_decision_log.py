"""Every decision as one line and one entry."""

from types import SimpleNamespace

import pytest
from bookkit import Book

from traiNNer.engine.control.decision_log import DecisionLog
from traiNNer.engine.control.events import SetKnob
from traiNNer.engine.control.knobs import BATCH_SIZE, GRAD_CLIP, LR_FACTOR, MICRO_BATCH

SLOT = SimpleNamespace(name="Example", adjustments=3)


def log(shadow: bool = False) -> tuple[DecisionLog, Book]:
    book = Book()
    return DecisionLog(book, lambda iteration: iteration * 1e-6, shadow), book


@pytest.mark.parametrize(
    ("knob", "old", "new", "line"),
    [
        (LR_FACTOR, 1.0, 0.5, "LR multiplier 1.00 -> 0.50 (LR 1.0e-04), reason: because"),
        (MICRO_BATCH, 4, 2, "Batch size adjusted from 4 to 2 due to because"),
        (BATCH_SIZE, 8, 16, "Effective batch size adjusted from 8 to 16 due to because"),
        (GRAD_CLIP, 1.0, 0.25, "grad_clip_threshold adjusted from 1 to 0.25 due to because"),
        ("own", 1.0, 1.23456, "own 1 -> 1.235, reason: because"),
    ],
)
def test_every_knob_has_its_own_message(knob, old, new, line):
    made, book = log()
    made.knob(100, SLOT, SetKnob(knob, new, "because", {"loss": 0.1}), old, new)
    assert book.infos == [f"Automation Example: {line}"]
    assert book.decisions == [
        {
            "iter": 100,
            "automation": "Example",
            "knob": knob,
            "old": old,
            "new": new,
            "reason": "because",
            "evidence": {"loss": 0.1},
            "n_adjustments": 3,
        }
    ]


def test_clamped_value_reports_the_request():
    made, book = log()
    made.knob(1, SLOT, SetKnob(LR_FACTOR, 9.0, "because"), 1.0, 2.0)
    assert book.infos[0].endswith("reason: because (bounded)")
    assert book.decisions[0]["evidence"] == {"clamped_from": 9.0}


def test_action_is_reported_or_recorded():
    made, book = log()
    made.action(7, SLOT, "stop", "no progress", {"score": 1}, "stopping")
    made.action(8, SLOT, "rollback", "diverged", {}, "")
    assert book.infos == ["Automation Example: stopping"]
    assert [(entry["iter"], entry["action"], entry["knob"]) for entry in book.decisions] == [
        (7, "stop", None),
        (8, "rollback", None),
    ]
    assert book.decisions[0]["evidence"] == {"score": 1}


def test_shadow_mode_marks_every_line_as_not_applied():
    made, book = log(shadow=True)
    made.knob(1, SLOT, SetKnob(LR_FACTOR, 0.5, "because"), 1.0, 0.5)
    made.action(2, SLOT, "stop", "because", {}, "stopping")
    assert all(line.endswith("(shadow: not applied)") for line in book.infos)
    assert len(book.infos) == 2
    assert [entry["shadow"] for entry in book.decisions] == [True, True]
