import random

import numpy as np
import pytest
import torch

from traiNNer.engine.runtime.rng import RandomNumbers
from traiNNer.engine.runtime.runtime import Runtime


def test_states_are_restored_and_inference_has_no_side_effects():
    runtime = Runtime(torch.device("cpu"), "")
    runtime.rng.restore(runtime.rng.state())
    state = runtime.rng.state()
    first = torch.rand(3), np.random.rand(3), random.random()
    runtime.rng.restore(state)
    with runtime.inference_with_saved_rng():
        torch.rand(5), np.random.rand(5), random.random()
    second = torch.rand(3), np.random.rand(3), random.random()
    assert torch.equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert first[2] == second[2]


@pytest.mark.parametrize("tries_out", [True, False])
def test_cudnn_tries_nothing_out_for_the_many_sizes_of_validation(tries_out, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", tries_out)
    runtime = Runtime(torch.device("cpu"), "")
    seen = []

    def stop() -> None:
        seen.append(torch.backends.cudnn.benchmark)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"), runtime.inference_with_saved_rng():
        stop()
    assert seen == [False]
    assert torch.backends.cudnn.benchmark is tries_out


def test_rng_is_restored_when_a_block_fails():
    rng = RandomNumbers(torch.device("cpu"))
    rng.seed(5)
    first = torch.rand(3)
    rng.seed(5)
    with pytest.raises(RuntimeError, match="size"), rng.saved():
        torch.rand(2) @ torch.rand(3)
    assert torch.equal(torch.rand(3), first)


def test_retried_step_draws_the_same_numbers():
    rng = RandomNumbers(torch.device("cpu"))
    before = rng.snapshot()
    first = torch.rand(3)
    rng.roll_back(before)
    assert torch.equal(torch.rand(3), first)
    rng.roll_back(None)
    assert not torch.equal(torch.rand(3), first)
