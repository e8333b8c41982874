import pytest
import torch

from traiNNer.batch import Batch, BatchPlan, ImageSet, Sample
from traiNNer.data.loader import TrainLoader


def test_plan_without_changes_is_iterations_times_time():
    plan = BatchPlan(8)
    assert [plan.size(i) for i in (0, 5, 10**6)] == [8, 8, 8]
    assert [plan.before(i) for i in (0, 1, 77)] == [0, 8, 616]


def test_change_is_delayed_by_64_iterations():
    plan = BatchPlan(8)
    plan.change(50, 12)
    assert [plan.size(i) for i in (113, 114, 115)] == [8, 12, 12]
    assert [plan.before(i) for i in (113, 114, 115, 116)] == [904, 912, 924, 936]


def test_sums_are_those_of_the_sizes():
    plan = BatchPlan(4)
    plan.change(10, 6)
    plan.change(20, 5)
    plan.change(400, 9)
    for iteration in range(0, 700, 7):
        assert plan.before(iteration) == sum(plan.size(i) for i in range(iteration))


def test_changes_of_a_previous_run_apply_for_the_same_start_size():
    plan = BatchPlan(8)
    plan.restore([[0, 8], [114, 12]])
    assert [plan.size(i) for i in (113, 114)] == [8, 12]
    other = BatchPlan(6)
    other.restore([[0, 8], [114, 12]])
    assert other.size(114) == 6


class Numbers(ImageSet):
    def __len__(self):
        return 37

    def sample(self, index, rng):
        return Sample(None, None, f"{index}")

    def whole(self, index):
        return Sample(None, None, f"{index}")

    def fingerprint(self):
        return {}


@pytest.mark.parametrize("world", [1, 2])
def test_growing_batch_draws_every_sample_once(world):
    plan = BatchPlan(2)
    plan.changes += [(5, 3), (8, 4)]
    drawn = []
    for rank in range(world):
        options = {"seed": 1, "batch_size": plan, "total_iter": 12, "accum_iter": 2, "rank": rank, "world": world}
        drawn += [draw for batch in TrainLoader(Numbers(), **options)._loader.batch_sampler for draw in batch]
    straight = TrainLoader(Numbers(), seed=1, batch_size=1, total_iter=len(drawn))
    assert sorted(drawn) == sorted(draw for batch in straight._loader.batch_sampler for draw in batch)


def test_batch_can_be_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    batch = Batch(torch.zeros(1), torch.zeros(1), ("a",), skipped=("b",)).pin_memory()
    assert (batch.lq.item(), batch.gt.item(), batch.keys, batch.skipped) == (1, 1, ("a",), ("b",))
    assert Batch(torch.zeros(1), None, ("a",)).pin_memory().gt is None
