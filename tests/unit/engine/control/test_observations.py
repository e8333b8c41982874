"""The iterations of a window as automations see them."""

import math

import torch
from enginekit import report_of

from traiNNer.engine.control import observations
from traiNNer.engine.control.observations import Observations
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import StepReport


def noted(anchor: str | None = None) -> Observations:
    return Observations(Runtime(torch.device("cpu"), "test"), anchor)


def test_a_window_has_a_step_for_each_iteration_and_starts_anew():
    seen = noted()
    seen.add(report_of({"l1": 0.25, "l2": 0.5}, norm=2.0, reference=4.0))
    seen.add(report_of({"l1": 0.5}, norm=1.0, finite=False))
    window = seen.read(20)
    first, second = window.steps
    assert (first.applied, first.grad_norm, first.loss, first.reference) == (True, 2.0, 0.75, 4.0)
    assert (second.applied, second.loss) == (False, 0.5)
    assert math.isnan(second.reference)
    assert window.iteration == 20
    assert seen.read(21) is None


def test_the_anchor_is_watched_alone_and_without_it_the_sum():
    for anchor, loss in (("l2", 0.5), (None, 0.75), ("unknown", 0.75)):
        seen = noted(anchor)
        seen.add(report_of({"l1": 0.25, "l2": 0.5}))
        assert seen.read(1).steps[0].loss == loss


def test_norms_of_single_terms_keep_their_names_also_when_they_come_and_go():
    seen = noted()
    seen.add(report_of({"l1": 1.0}, norms={"a": torch.tensor(1.0), "b": torch.tensor(2.0)}))
    seen.add(report_of({"l1": 2.0}))
    seen.add(report_of({"l1": 3.0}, norms={"b": torch.tensor(4.0)}))
    steps = seen.read(3).steps
    assert [step.norms for step in steps] == [{"a": 1.0, "b": 2.0}, None, {"b": 4.0}]
    assert [step.loss for step in steps] == [1.0, 2.0, 3.0]


def test_an_iteration_of_another_learner_is_not_one():
    seen = noted()
    seen.add(StepReport({}, torch.tensor(True), None))
    assert seen.read(1) is None


def test_the_pace_is_the_median_so_that_a_pause_does_not_count(monkeypatch):
    times = iter([0.0, 1.0, 2.0, 100.0, 101.0])
    monkeypatch.setattr(observations.time, "perf_counter", lambda: next(times))
    seen = noted()
    for _ in range(5):
        seen.add(report_of({"l1": 1.0}))
    assert seen.read(5).seconds == 1.0


def test_a_single_first_iteration_has_no_pace():
    seen = noted()
    seen.add(report_of({"l1": 1.0}))
    assert math.isnan(seen.read(1).seconds)


def test_every_rank_reads_the_mean_with_one_wait(monkeypatch):
    runtime, calls = Runtime(torch.device("cpu"), "test"), []
    monkeypatch.setattr(type(runtime), "mean_over_ranks", lambda self, values: calls.append(1) or values * 2)
    seen = Observations(runtime)
    for _ in range(3):
        seen.add(report_of({"l1": 1.0}))
    assert [step.loss for step in seen.read(3).steps] == [2.0] * 3
    assert len(calls) == 1


def test_an_open_window_is_kept_over_a_resume():
    first, second = noted(), noted()
    first.add(report_of({"l1": 0.5}, norms={"a": torch.tensor(1.0)}))
    first.add(report_of({"l1": 0.25}, finite=False))
    state = first.state_dict()
    second.load_state_dict(state)
    second.add(report_of({"l1": 0.125}))
    assert [(step.applied, step.loss, step.norms) for step in second.read(3).steps] == [
        (True, 0.5, {"a": 1.0}),
        (False, 0.25, None),
        (True, 0.125, None),
    ]
    assert len(first.read(3).steps) == 2, "what was saved goes on here too"
