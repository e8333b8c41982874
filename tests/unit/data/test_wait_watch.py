import pytest

from traiNNer.data import wait_watch
from traiNNer.data.wait_watch import Cost, WaitWatch


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(wait_watch, "ITERATIONS", 20)
    monkeypatch.setattr(wait_watch, "SETTLING", 2)


def verdicts(watch, waited, worked, each=0.01, processor=1.0, workers=2, batch=8, iterations=100):
    """Return what follows in a run of equal iterations: (iteration, verdict)."""
    found = []
    for iteration in range(1, iterations + 1):
        samples = iteration * batch
        cost = Cost(samples, samples * each, samples * each * processor)
        if verdict := watch.note(waited, worked, cost, workers):
            found.append((iteration, verdict))
    return found


def watch(relief="", cores=8, is_auto=False):
    return WaitWatch(lambda: relief, cores, is_auto)


def test_little_waiting_is_no_matter():
    assert verdicts(watch(), 0.14, 0.86) == []


def test_much_waiting_is_reported_after_so_many_iterations():
    found = verdicts(watch(), 0.16, 0.84, iterations=62)
    assert [iteration for iteration, _ in found] == [22, 42, 62]
    assert found[0][1].share == pytest.approx(0.16)


def test_too_few_workers_are_told_how_many_would_do():
    ((_, verdict),) = verdicts(watch("eat less"), 0.05, 0.02, each=0.011, iterations=25)
    assert verdict.advice == (
        "Training waited for data 71% of 20 iterations: a sample takes 11.0 ms, too much for 2 data workers. "
        "Set num_worker_per_gpu: 5 (now 2), or eat less."
    )
    assert verdict.workers == 2


def test_automatic_workers_at_most_double():
    assert verdicts(watch(is_auto=True), 0.05, 0.02, each=0.011, iterations=25)[0][1].workers == 4
    assert verdicts(watch(is_auto=True), 0.05, 0.02, each=0.011, workers=4, iterations=25)[0][1].workers == 5
    assert verdicts(watch(is_auto=True, cores=3), 0.05, 0.02, iterations=25)[0][1].workers == 3
    assert verdicts(watch(is_auto=True), 0.05, 0.02, workers=0, iterations=25)[0][1].workers == 2


def test_all_cores_at_work_need_cheaper_samples():
    ((_, verdict),) = verdicts(watch("keep images", cores=2), 0.5, 0.5, iterations=25)
    assert verdict.advice.endswith(
        "a sample takes 10.0 ms, and 2 data workers use all 2 cores that they may. Keep images."
    )
    ((_, verdict),) = verdicts(watch(cores=2), 0.5, 0.5, iterations=25)
    assert verdict.advice.endswith("Allow this process more cores, or use cheaper degradations.")


def test_waiting_processor_means_a_slow_disk():
    ((_, verdict),) = verdicts(watch(), 0.5, 0.5, each=0.2, processor=0.05, iterations=25)
    assert "of which the processor works 5%: the disk or network share is slow, or other programs" in verdict.advice
    assert verdict.advice.endswith(". Put the images on a faster disk.")


def test_main_process_that_reads_is_named():
    ((_, verdict),) = verdicts(watch(), 0.08, 0.1, workers=0, iterations=25)
    assert "a sample takes 10.0 ms in the main process. Set num_worker_per_gpu: 1 (now 0)." in verdict.advice


def test_validation_in_between_does_not_hide_the_waiting():
    one, found = watch(), []
    for iteration in range(25):
        worked = 500.0 if iteration == 10 else 0.8
        found.append(one.note(0.2, worked, Cost(iteration, iteration, iteration), 2))
    (verdict,) = [verdict for verdict in found if verdict]
    assert verdict.share == pytest.approx(20 * 0.2 / (20 * 0.2 + 19 * 0.8 + 3.2))


def test_first_iterations_after_more_workers_are_left_out():
    one = watch(is_auto=True)
    cost = Cost(100, 1, 1)
    found = [bool(one.note(0.5, 0.5, cost, 2)) for _ in range(22 + 22)]
    assert [place for place, is_one in enumerate(found) if is_one] == [21, 43]
