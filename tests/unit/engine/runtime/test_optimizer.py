from copy import deepcopy

import pytest
import torch
from torch import nn

from traiNNer.engine.runtime.optimizer import restore_optimizer
from traiNNer.engine.runtime.runtime import Runtime


def test_moments_take_the_memory_format_of_their_parameters():
    """A fused optimizer works in memory order; moments in another order would belong to other weights."""

    def trained(layout):
        torch.manual_seed(0)
        runtime = Runtime(torch.device("cpu"), "", memory_format=layout)
        layer = runtime.place(nn.Conv2d(3, 8, 3))
        return runtime, layer, torch.optim.AdamW(layer.parameters(), 0.1, fused=True)

    def step(runtime, layer, optimizer):
        images = runtime.to_float(torch.arange(300, dtype=torch.uint8).reshape(1, 10, 10, 3))
        optimizer.zero_grad()
        layer(images).square().sum().backward()
        optimizer.step()

    first = trained(torch.channels_last)
    step(*first)
    state = deepcopy(first[2].state_dict())
    weights = {name: value.clone() for name, value in first[1].state_dict().items()}
    step(*first)
    other = trained(torch.contiguous_format)
    other[1].load_state_dict(weights)
    restore_optimizer(other[2], state)
    step(*other)
    torch.testing.assert_close(other[1].weight, first[1].weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.pop("exp_avg"), "beside step, exp_avg"),
        (lambda found: found.update(exp_avg_sq=torch.ones(2)), "exp_avg_sq does not fit its parameter"),
        (lambda found: found.update(exp_avg="x"), "exp_avg does not fit its parameter"),
        (lambda found: found.update(step=torch.ones(2)), "step is not a number"),
    ],
)
def test_moments_that_a_step_could_not_use_are_refused(change, words):
    layer = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = deepcopy(optimizer.state_dict())
    restore_optimizer(optimizer, deepcopy(state))
    change(state["state"][2])
    with pytest.raises(ValueError, match=words):
        restore_optimizer(optimizer, state)
