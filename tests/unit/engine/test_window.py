import math

import pytest
import torch
from enginekit import report_of

from traiNNer.engine.step_report import StepReport
from traiNNer.engine.window import NonfiniteWatch, Window
from traiNNer.errors import TrainingDiverged

CPU = torch.device("cpu")


def report(finite: bool = True, **terms: float) -> StepReport:
    return report_of(terms, 2.0 if finite else math.nan, finite)


def test_means_over_the_window_and_a_total_of_several_terms():
    window = Window(CPU)
    window.add(report(l1=1.0, mse=0.5))
    window.add(report(l1=3.0, mse=1.5))
    assert window.read() == {"loss/l1": 2.0, "loss/mse": 1.0, "grad_norm": 2.0, "loss/total": 3.0}
    assert window.read() == {}


def test_term_that_is_active_in_a_part_of_the_window_has_the_mean_of_that_part():
    window, resumed = Window(CPU), Window(CPU)
    window.add(report(l1=1.0))
    window.add(report(l1=3.0, mse=8.0))
    resumed.load_state_dict(window.state_dict())
    for one in (window, resumed):
        one.add(report(mse=4.0))
        one.add(report(finite=False, mse=math.nan))
        assert one.read() == {"loss/l1": 2.0, "grad_norm": 2.0, "loss/mse": 6.0, "loss/total": 16 / 3}


def test_skipped_step_counts_nothing():
    window = Window(CPU)
    window.add(report(l1=1.0))
    window.add(report(finite=False, l1=math.inf))
    assert window.read() == {"loss/l1": 1.0, "grad_norm": 2.0}
    window.add(report(finite=False, l1=math.nan))
    assert window.read() == {}


def test_open_window_survives_a_resume():
    straight, first, second = Window(CPU), Window(CPU), Window(CPU)
    for value in (0.1, 0.2):
        straight.add(report(l1=value))
        first.add(report(l1=value))
    second.load_state_dict(first.state_dict())
    for window in (straight, second):
        window.add(report(l1=0.7))
    assert straight.read() == second.read()


def test_failing_term_and_its_images_are_named():
    watch = NonfiniteWatch(limit=10, inspect_every=1)
    assert watch.add(1, report(l1=1.0), ("a",)) == []
    (text,) = watch.add(812, report(finite=False, l1=1.0, percep=math.nan), ("dir/x", "y"))
    assert text == "Iteration 812: loss is not finite (percep). Step skipped (1 of 10). Images: dir/x, y"
    (text,) = watch.add(813, report(finite=False, l1=1.0), ("z",))
    assert "gradient is not finite" in text
    watch.add(814, report(l1=1.0), ("z",))
    assert watch.streak == 0


@pytest.mark.parametrize("inspect_every", [1, 3, 10])
def test_too_many_in_a_row_end_the_run_at_any_inspection_interval(inspect_every):
    watch = NonfiniteWatch(limit=3, inspect_every=inspect_every)
    with pytest.raises(TrainingDiverged, match="3 updates in a row"):
        [watch.add(iteration, report(finite=False, l1=math.nan), ("a",)) for iteration in range(1, 21)]
    watch = NonfiniteWatch(limit=3, inspect_every=inspect_every)
    for iteration in range(1, 21):
        watch.add(iteration, report(finite=iteration % 3 == 0, l1=1.0), ("a",))


def test_overflow_allowance_is_added_to_the_limit():
    watch = NonfiniteWatch(limit=2, inspect_every=1, overflow_allowance=3)
    for iteration in range(4):
        watch.add(iteration, report(finite=False, l1=1.0), ("a",))
    with pytest.raises(TrainingDiverged):
        watch.add(5, report(finite=False, l1=1.0), ("a",))
