import pytest
import torch
from enginekit import learner_of
from torch import nn

from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.snapshot import Snapshot, restore_on_exit
from traiNNer.models.protocol import MAIN
from traiNNer.models.restoration import RestorationModel
from traiNNer.optim.optimizers import build_optimizer


def make(kind="AdamW", memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=memory_format)
    optimizer = build_optimizer(kind, {"lr": 0.1} | ({"momentum": 0.9} if kind == "SGD" else {}), net.parameters())
    learner = learner_of(net, optimizer, decay=0.9)
    model = RestorationModel({MAIN: net}, {}, lambda **_: {})
    return net, optimizer, learner.average, Snapshot({MAIN: learner}, model)


def step(net, optimizer, average, iteration):
    optimizer.zero_grad()
    images = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(iteration))
    net(images).square().sum().backward()
    optimizer.step()
    average.update(iteration)


def everything(net, optimizer, average):
    tensors = [*net.state_dict().values(), *average.network.state_dict().values()]
    return [t.clone() for t in tensors] + [v.clone() for s in optimizer.state.values() for v in s.values()]


@pytest.mark.parametrize("kind", ["AdamW", "SGD"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("taken_after", [0, 3])
def test_training_from_a_snapshot_is_exact(kind, memory_format, taken_after):
    net, optimizer, average, snapshot = make(kind, memory_format)
    for iteration in range(1, taken_after + 1):
        step(net, optimizer, average, iteration)
    snapshot.take()
    for iteration in range(10, 14):
        step(net, optimizer, average, iteration)
    first = everything(net, optimizer, average)
    assert snapshot.restore()
    for iteration in range(10, 14):
        step(net, optimizer, average, iteration)
    for a, b in zip(first, everything(net, optimizer, average), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("kind", "first", "second"), [("AdamW", "exp_avg", "exp_avg_sq"), ("SGD", "momentum_buffer", "")]
)
def test_weights_that_become_their_average_keep_the_second_moment_only(kind, first, second):
    net, optimizer, average, snapshot = make(kind)
    for iteration in range(1, 6):
        step(net, optimizer, average, iteration)
    averaged = {name: value.clone() for name, value in average.network.state_dict().items()}
    moments = [dict(state) for state in optimizer.state.values()]
    kept = [state[second].clone() for state in moments if second]
    assert not torch.equal(net[0].weight, averaged["0.weight"])
    assert all(state[first].any() for state in moments)
    snapshot.learners[MAIN].become_average()
    for state in (net.state_dict(), average.network.state_dict()):
        assert all(torch.equal(value, averaged[name]) for name, value in state.items())
    assert not any(state[first].any() for state in optimizer.state.values())
    assert all(torch.equal(a, b[second]) for a, b in zip(kept, moments, strict=bool(second)))
    step(net, optimizer, average, 6)
    assert not torch.equal(net[0].weight, averaged["0.weight"])


def test_restore_without_a_snapshot_is_a_no_op():
    net, optimizer, average, snapshot = make()
    before = everything(net, optimizer, average)
    assert not snapshot.restore()
    assert all(torch.equal(a, b) for a, b in zip(before, everything(net, optimizer, average), strict=True))


def test_snapshot_excludes_the_learning_rate():
    _, optimizer, _, snapshot = make()
    snapshot.take()
    optimizer.param_groups[0]["lr"] = 0.025
    snapshot.restore()
    assert optimizer.param_groups[0]["lr"] == 0.025


def test_saved_entries_do_not_alias_the_network():
    net, optimizer, average, snapshot = make()
    step(net, optimizer, average, 1)
    snapshot.take()
    kept = snapshot.kept["learners"][MAIN]["network"]["0.weight"].clone()
    step(net, optimizer, average, 2)
    assert torch.equal(snapshot.kept["learners"][MAIN]["network"]["0.weight"], kept)


def test_snapshot_survives_state_round_trip():
    net, optimizer, average, snapshot = make()
    step(net, optimizer, average, 1)
    snapshot.take()
    kept = everything(net, optimizer, average)
    step(net, optimizer, average, 2)
    other = Snapshot(snapshot.learners, snapshot.model)
    other.load_state_dict(snapshot.state_dict())
    assert other.restore()
    assert all(torch.equal(a, b) for a, b in zip(kept, everything(net, optimizer, average), strict=True))


def test_restore_on_exit_undoes_the_block():
    """Weights, moments, random numbers and fp16 scale are as before; the snapshot that the run keeps is not touched."""
    net, optimizer, average, snapshot = make()
    runtime = Runtime(torch.device("cpu"), "test", half=torch.float16)
    step(net, optimizer, average, 1)
    before, rng, scale = everything(net, optimizer, average), torch.get_rng_state(), runtime.scaler.state_dict()
    with restore_on_exit(snapshot.learners, snapshot.model, runtime):
        step(net, optimizer, average, 2)
        torch.rand(3)
        runtime.scaler.load_state_dict(scale | {"scale": 2.0})
        assert not torch.equal(net[0].weight, before[0])
    assert all(torch.equal(a, b) for a, b in zip(before, everything(net, optimizer, average), strict=True))
    assert torch.equal(torch.get_rng_state(), rng)
    assert runtime.scaler.state_dict() == scale
    assert snapshot.kept is None
