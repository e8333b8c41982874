"""Updates that run out of memory: done again where nothing was changed, never where something was."""

import pytest
import torch
from torch import nn

from traiNNer.engine.runtime.in_place import step_with_retry
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.optim.muon import Muon

KINDS = {
    "fused": lambda parameters: torch.optim.AdamW(parameters, 0.1, fused=True),
    "foreach": lambda parameters: torch.optim.AdamW(parameters, 0.1, foreach=True),
    "plain": lambda parameters: torch.optim.AdamW(parameters, 0.1, foreach=False),
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, fused=True),
    "muon": lambda parameters: Muon(parameters, 0.1),
}


def trained(kind, fault=lambda optimizer: None, steps=3):
    """Return weights and optimizer after some steps; `fault` prepares the optimizer for the last of them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    optimizer = KINDS[kind](network.parameters())
    for step in range(steps):
        optimizer.zero_grad()
        network(torch.ones(2, 4) * (step + 1)).square().sum().backward()
        if step == steps - 1:
            fault(optimizer)
        step_with_retry(optimizer.step, optimizer, lambda: None)
    return [parameter.detach().clone() for parameter in network.parameters()], optimizer


def fails_once(monkeypatch, owner, name, at=1, after=False):
    """Let the call number `at` of a function run out of memory, before it does anything or after."""
    real, calls = getattr(owner, name), []

    def faulty(*args, **options):
        calls.append(None)
        if len(calls) == at and not after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        result = real(*args, **options)
        if len(calls) == at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return result

    monkeypatch.setattr(owner, name, faulty)
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_that_changed_nothing_is_done_again(kind, monkeypatch):
    expected, _ = trained(kind)
    found, _ = trained(kind, lambda optimizer: fails_once(monkeypatch, optimizer, "step"))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("kind", ["fused", "foreach", "plain"])
def test_moments_that_were_half_begun_are_begun_anew(kind, monkeypatch):
    """The first step runs out of memory between the moments of one parameter, which torch would then take for begun."""
    expected, _ = trained(kind, steps=1)
    found, optimizer = trained(kind, lambda _: fails_once(monkeypatch, torch, "zeros_like", at=3), steps=1)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert [len(state) for state in optimizer.state.values()] == [3] * 4


@pytest.mark.parametrize("kind", ["fused", "foreach", "plain", "muon"])
def test_an_update_that_changed_something_ends_with_the_original_error(kind, monkeypatch):
    calls = []

    def fault(optimizer):
        calls.append(fails_once(monkeypatch, optimizer, "step", after=True))

    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 2\.00 GiB"):
        trained(kind, fault)
    assert len(calls[0]) == 1


def test_fused_kernels_of_several_groups_without_counters_are_never_repeated():
    weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], 0.1, fused=True)
    calls = []

    def step():
        calls.append(None)
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        step_with_retry(step, optimizer, lambda: None)
    assert len(calls) == 1


def test_other_errors_are_not_repeated(monkeypatch):
    def fault(optimizer):
        monkeypatch.setattr(optimizer, "step", lambda: (_ for _ in ()).throw(RuntimeError("shapes differ")))

    with pytest.raises(RuntimeError, match="shapes differ"):
        trained("fused", fault)


@pytest.mark.parametrize("operation", ["_foreach_lerp_", "_foreach_sub"])
def test_an_average_whose_temporaries_find_no_room_follows_all_the_same(operation, monkeypatch):
    def followed(fails):
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        average = WeightAverage(network, 0.9)
        with torch.no_grad():
            network.weight.add_(1)
        if fails:
            fails_once(monkeypatch, torch, operation)
        applied = True if operation == "_foreach_lerp_" else torch.tensor(True)
        Runtime(torch.device("cpu"), "").change(lambda: average.update(5, applied), average.tensors)
        return average.network.weight.clone()

    assert torch.equal(followed(fails=False), followed(fails=True))


def test_an_average_that_has_moved_is_not_moved_again(monkeypatch):
    network = nn.Linear(3, 2)
    average = WeightAverage(network, 0.9)
    calls = fails_once(monkeypatch, torch, "_foreach_lerp_", after=True)
    with pytest.raises(torch.OutOfMemoryError):
        Runtime(torch.device("cpu"), "").change(lambda: average.update(5, True), average.tensors)
    assert len(calls) == 1


class Counting(torch.optim.Optimizer):
    """Counts its steps in the group, and runs out of memory in its first one, before or after changing a gradient."""

    def __init__(self, parameters, changes_gradient):
        super().__init__(parameters, {"lr": 0.1})
        self.changes_gradient, self.fails = changes_gradient, True

    def step(self):
        (group,) = self.param_groups
        group["step"] = group.get("step", 0) + 1
        (parameter,) = group["params"]
        if self.changes_gradient:
            parameter.grad.mul_(2)
        if self.fails:
            self.fails = False
            raise torch.OutOfMemoryError("out of memory (injected)")
        with torch.no_grad():
            parameter.sub_(parameter.grad, alpha=group["lr"] * group["step"])


def counted(changes_gradient):
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    optimizer = Counting([parameter], changes_gradient)
    step_with_retry(optimizer.step, optimizer, lambda: None)
    return parameter, optimizer


def test_a_count_that_a_failed_step_began_in_its_group_is_undone():
    parameter, optimizer = counted(changes_gradient=False)
    assert optimizer.param_groups[0]["step"] == 1
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 0.9))


def test_a_step_that_changed_a_gradient_is_not_repeated():
    with pytest.raises(torch.OutOfMemoryError, match="injected"):
        counted(changes_gradient=True)
