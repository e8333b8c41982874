"""The batch automation in simulated runs whose validations take nearly all of the device."""

from contextlib import nullcontext

import pytest

from benchmarks.automations.simulated_batch import draw, validations_take_nothing
from traiNNer.engine.runtime.memory import DeviceMemory


def failures(count):
    return [row.runs - row.successes for row in validations_take_nothing([draw(seed) for seed in range(count)])]


def test_validations_never_shrink_the_micro_batch():
    assert failures(8) == [0, 0]


@pytest.mark.nightly
def test_validations_never_shrink_the_micro_batch_of_a_thousand_pairs():
    assert failures(1000) == [0, 0]


def test_they_would_if_their_memory_counted(monkeypatch):
    monkeypatch.setattr(DeviceMemory, "apart", lambda _: nullcontext())
    assert min(failures(4)) > 0
