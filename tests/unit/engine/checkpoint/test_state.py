from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from traiNNer.engine.checkpoint.state import Progress, RandomState, StateTable
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import CheckpointError


class Number:
    """Holds a number, and records the order of restoring."""

    order: ClassVar[list[str]] = []

    def __init__(self, name: str, value: int = 0) -> None:
        self.name, self.value = name, value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]
        Number.order.append(self.name)


def test_table_saves_and_restores_every_entry_in_its_order():
    saved = StateTable({"b": Number("b", 2), "a": StateTable({"x": Number("x", 3)})}).state_dict()
    assert saved == {"b": {"value": 2}, "a": {"x": {"value": 3}}}
    Number.order.clear()
    first, second = Number("b"), Number("x")
    StateTable({"b": first, "a": StateTable({"x": second})}).load_state_dict(dict(reversed(saved.items())))
    assert (first.value, second.value) == (2, 3)
    assert Number.order == ["b", "x"]


def test_missing_state_entries_are_named_and_nothing_is_restored():
    kept = Number("a", 1)
    table = StateTable({"a": kept, "b": Number("b"), "c": Number("c")})
    with pytest.raises(CheckpointError, match="the training state lacks b, c"):
        table.load_state_dict({"a": {"value": 7}})
    assert kept.value == 1


def test_missing_part_of_an_entry_is_named():
    table = StateTable({"learners": StateTable({"net_g": Number("net_g")})})
    with pytest.raises(CheckpointError, match="the training state lacks value of net_g"):
        table.load_state_dict({"learners": {"net_g": {}}})


def test_missing_optional_entry_resets_and_unknown_entries_are_ignored():
    one, other = Number("a"), Number("b", 5)
    StateTable({"a": one, "b": other}, optional=("b",)).load_state_dict({"a": {"value": 7}, "old": {}})
    assert (one.value, other.value) == (7, 5)


def test_progress_notes_what_was_validated():
    progress, other = Progress(), Progress()
    progress.iteration = 7
    progress.note_validation()
    progress.iteration = 9
    other.load_state_dict(progress.state_dict())
    assert (other.iteration, other.validated) == (9, 7)


def test_random_numbers_continue_where_they_were_saved():
    state = RandomState(Runtime(torch.device("cpu"), "test"))
    saved = state.state_dict()
    assert len(saved["ranks"]) == 1
    expected = torch.rand(3)
    state.load_state_dict(saved)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("rank", "taken"), [(0, 0), (1, 1), (2, 0), (3, 1)])
def test_new_rank_takes_the_state_of_another(rank, taken):
    restored = []
    runtime = SimpleNamespace(rank=rank, rng=SimpleNamespace(restore=restored.append))
    RandomState(runtime).load_state_dict({"ranks": [0, 1]})
    assert restored == [taken]


def test_progress_remembers_training_and_validation():
    progress, again = Progress(), Progress()
    progress.iteration, progress.validated = 7, 4
    again.load_state_dict(progress.state_dict())
    assert (again.iteration, again.validated) == (7, 4)
