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


@pytest.mark.parametrize(("size", "ranks", "sizes"), [(16, (2, 1), (16, 24)), (4, (2, 4), (4, 6)), (8, (2, 1), (8, 8))])
def test_all_ranks_together_draw_as_before_on_another_number_of_them(size, ranks, sizes):
    plan = BatchPlan(size)
    plan.restore([[0, 8], [114, 12]], ranks)
    assert tuple(plan.size(i) for i in (113, 114)) == sizes


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
    expected = [draw for batch in straight._loader.batch_sampler for draw in batch]
    assert sorted(draw[:2] for draw in drawn) == sorted(draw[:2] for draw in expected)  # the iterations differ


def test_batch_can_be_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    batch = Batch(torch.zeros(1), torch.zeros(1), ("a",), skipped=("b",)).pin_memory()
    assert (batch.lq.item(), batch.gt.item(), batch.keys, batch.skipped) == (1, 1, ("a",), ("b",))
    assert Batch(torch.zeros(1), None, ("a",)).pin_memory().gt is None


def test_grown_batch_has_another_side_and_the_same_pixels():
    lq = torch.arange(2 * 3 * 3 * 3).reshape(2, 3, 3, 3).to(torch.uint8)
    batch = Batch(lq, lq.repeat_interleave(2, 1).repeat_interleave(2, 2), ("a", "b"), seeds=(1, 2))
    grown = batch.grown(8)
    assert (grown.lq.shape, grown.gt.shape, grown.keys) == ((2, 8, 8, 3), (2, 16, 16, 3), ("a", "b"))
    assert torch.equal(grown.lq[:, 3:6, 3:6], lq)
    assert torch.equal(grown.gt[:, 6:12, :6], batch.gt)
    assert batch.grown(3) is batch
