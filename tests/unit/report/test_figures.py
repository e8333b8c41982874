import json

import pytest
from reportkit import event, write

from traiNNer.report.figures import MOST_POINTS, decision_marks, figures_of, limit_of, thinned
from traiNNer.report.record import read_record

CLIPPED = """\
name: run  # file line 1
train:
  grad_clip: true  # file line 2
  grad_clip_max_norm: 2.0  # default
"""


def decision(iteration, automation="A", **fields):
    return {"event": "decision", "iter": iteration, "automation": automation, "reason": "because", **fields}


def recorded(folder, *entries, decisions=()):
    write(folder, *entries, resolved=CLIPPED)
    (folder / "decisions.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in decisions))
    return read_record(folder)


def test_every_number_has_its_figure(tmp_path):
    numbers = {"loss/l1": 0.5, "loss/net_d/gan": 0.7, "grad_norm": 0.1, "lr": 1e-3, "it_per_s": 3.0, "data_wait": 0.25}
    entries = [event("train", at, **numbers) for at in (1, 2, 3)]
    entries.append(event("validation", 3, **{"val/s/psnr": 31.0, "val/s/psnr_bicubic": 30.0}))
    predicted = {"predicted/psnr": 32, "predicted/psnr_low": 31.5, "predicted/psnr_high": 34}
    entries.append(event("prediction", 3, **predicted))
    figures = {one.title: one for one in figures_of(recorded(tmp_path, *entries))}
    assert list(figures) == ["Losses", "psnr", "Learning rate", "Gradient norm", "Pace"]
    traces = {trace["name"]: trace for one in figures.values() for trace in one.traces}
    assert (traces["net_d/gan"]["x"], traces["net_d/gan"]["y"]) == ([1, 2, 3], [0.7] * 3)
    assert traces["s, bicubic"]["y"] == [30.0]
    assert traces["predicted end"]["error_y"]["array"] == [2]
    assert traces["predicted end"]["error_y"]["arrayminus"] == [0.5]
    assert traces["waiting for data, %"]["y"] == [25.0] * 3
    assert traces["limit"]["y"] == [2.0, 2.0]


def test_marks_hold_every_decision_with_its_reason():
    made = [decision(5, knob="lr_factor", old=1, new=0.5), decision(9, "B", action="stop", reason="<b>flat & done")]
    marks = decision_marks(made)
    assert [(one["name"], one["x"], one["text"]) for one in marks] == [
        ("A", [5], ["A: lr_factor 1 -> 0.5<br>because"]),
        ("B", [9], ["B: stop<br>&lt;b>flat &amp; done"]),
    ]


def test_marks_are_below_every_figure(tmp_path):
    figures = figures_of(recorded(tmp_path, event("train", 1, lr=1, grad_norm=2), decisions=[decision(1, action="x")]))
    assert len(figures) == 2
    for one in figures:
        assert [trace["text"] for trace in one.traces if trace["name"] == "A"] == [["A: x<br>because"]]
        assert "yaxis9" in one.plain()["layout"]


def test_limit_follows_the_decisions_that_were_applied(tmp_path):
    moves = [
        decision(5, knob="grad_clip", old=2.0, new=0.5),
        decision(8, knob="grad_clip", old=0.5, new=0.1, shadow=True),
    ]
    assert limit_of(recorded(tmp_path, event("train", 20, lr=1), decisions=moves)) == [(1, 2.0), (5, 0.5), (20, 0.5)]


def test_a_long_curve_is_drawn_as_means_and_keeps_its_end():
    curve = [(at, float(at % 2)) for at in range(1, 10_001)]
    drawn = thinned(curve)
    assert len(drawn) <= MOST_POINTS + 1
    assert drawn[-1] == curve[-1]
    assert [value for _, value in drawn[:3]] == pytest.approx([0.6, 0.4, 0.6])
    assert thinned(curve[:MOST_POINTS]) == curve[:MOST_POINTS]
