"""The iterations of a window as seen by automations."""

import math

import torch
from enginekit import report_of

from traiNNer.engine.control import observations
from traiNNer.engine.control.events import Step
from traiNNer.engine.control.observations import Observations
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import StepReport
from traiNNer.models.protocol import MAIN


def noted(anchor: str | None = None) -> Observations:
    return Observations(Runtime(torch.device("cpu"), "test"), anchor)


def test_window_has_a_step_per_iteration_and_resets():
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


def test_watches_the_anchor_loss_or_the_sum_without_one():
    for anchor, loss in (("l2", 0.5), (None, 0.75), ("unknown", 0.75)):
        seen = noted(anchor)
        seen.add(report_of({"l1": 0.25, "l2": 0.5}))
        assert seen.read(1).steps[0].loss == loss


def test_term_norms_keep_their_names_when_terms_come_and_go():
    seen = noted()
    seen.add(report_of({"l1": 1.0}, norms={"a": torch.tensor(1.0), "b": torch.tensor(2.0)}))
    seen.add(report_of({"l1": 2.0}))
    seen.add(report_of({"l1": 3.0}, norms={"b": torch.tensor(4.0)}))
    steps = seen.read(3).steps
    assert [step.norms for step in steps] == [{"a": 1.0, "b": 2.0}, None, {"b": 4.0}]
    assert [step.loss for step in steps] == [1.0, 2.0, 3.0]


def test_other_learners_iteration_is_not_counted():
    seen = noted()
    seen.add(StepReport({}, torch.tensor(True), None))
    assert seen.read(1) is None


def test_other_learners_steps_wait_for_the_next_window_of_the_main_one():
    def opponent(norm, finite=True):
        return report_of({"real": 0.25, "fake": 0.5}, norm, finite).updates[MAIN]

    seen, flag = noted(), torch.tensor(True)
    seen.add(StepReport({"net_d": opponent(3.0)}, flag))
    assert seen.read(1) is None
    seen.add(StepReport({MAIN: opponent(1.0), "net_d": opponent(5.0, finite=False)}, flag))
    resumed = noted()
    resumed.load_state_dict(seen.state_dict())
    for one in (seen, resumed):
        window = one.read(2)
        assert [step.grad_norm for step in window.steps] == [1.0]
        assert window.others == {"net_d": [Step(True, 3.0, 0.75), Step(False, 5.0, 0.75)]}
        one.add(StepReport({MAIN: opponent(1.0)}, flag))
        assert one.read(3).others == {}


def test_throughput_is_the_median_and_ignores_pauses(monkeypatch):
    times = iter([0.0, 1.0, 2.0, 100.0, 101.0])
    monkeypatch.setattr(observations.time, "perf_counter", lambda: next(times))
    seen = noted()
    for _ in range(5):
        seen.add(report_of({"l1": 1.0}))
    assert seen.read(5).seconds == 1.0


def test_first_iteration_alone_has_no_throughput():
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


def test_open_window_is_kept_across_resume():
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


def test_other_pixel_losses_take_the_place_of_an_absent_one():
    seen = Observations(Runtime(torch.device("cpu"), "test"), "l1", ["mse"])
    seen.add(report_of({"l1": 0.25, "mse": 0.5, "percep": 1.0}))
    seen.add(report_of({"mse": 0.5, "percep": 1.0}))
    seen.add(report_of({"percep": 1.0, "gan": 2.0}))
    window = seen.read(3)
    assert window is not None
    assert [step.loss for step in window.steps] == [0.25, 0.5, 3.0]
