import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from traiNNer.engine.weight_average import OptimizerAverage, WeightAverage, decay_at


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("seen", torch.tensor(False))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, x):
        self.seen.fill_(True)
        return self.norm(self.conv(x))


def train_one(net: nn.Module) -> None:
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    net(torch.randn(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()
    net.zero_grad()


def test_agrees_with_torch_ema_bitwise():
    torch.manual_seed(0)
    net = Net()
    ours = WeightAverage(net, 0.9)
    for update in range(1, 6):
        theirs = AveragedModel(
            ours.network, multi_avg_fn=get_ema_multi_avg_fn(decay_at(update, 0.9)), use_buffers=False
        )
        theirs.n_averaged.fill_(1)
        train_one(net)
        theirs.update_parameters(net)
        ours.update(update)
        for a, b in zip(theirs.module.conv.parameters(), ours.network.conv.parameters(), strict=True):
            assert torch.equal(a, b)


def test_every_buffer_is_carried_at_any_dtype():
    net = Net()
    average = WeightAverage(net, 0.99)
    assert not average.network.seen
    train_one(net)
    average.update(1)
    assert bool(average.network.seen)
    assert torch.equal(average.network.norm.running_mean, net.norm.running_mean)
    assert average.network.norm.num_batches_tracked == 1


def test_skipped_update_leaves_the_ema_unchanged():
    torch.manual_seed(0)
    net = Net()
    host, device = WeightAverage(net, 0.9), WeightAverage(net, 0.9)
    train_one(net)
    before = host.network.conv.weight.clone()
    host.update(1, False)
    device.update(1, torch.tensor(False))
    assert torch.equal(before, host.network.conv.weight)
    assert torch.equal(before, device.network.conv.weight)
    host.update(1, True)
    device.update(1, torch.tensor(True))
    assert not torch.equal(before, host.network.conv.weight)
    torch.testing.assert_close(host.network.conv.weight, device.network.conv.weight, rtol=1e-6, atol=1e-7)


def test_frozen_parameters_are_copied_exactly_without_grad():
    net = Net()
    average = WeightAverage(net, 0.9)
    with torch.no_grad():
        net.frozen.fill_(1 / 3)
    average.update(1)
    assert torch.equal(average.network.frozen, net.frozen)
    assert not any(p.requires_grad for p in average.network.parameters())
    assert not average.network.training


def test_decay_is_a_function_of_the_update():
    assert decay_at(1, 0.999) == 2 / 11
    assert decay_at(10**6, 0.999) == 0.999


class Scalar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]))


def test_optimizers_average_is_where_the_package_would_swap_to():
    package = pytest.importorskip("pytorch_optimizer")
    net = Net()
    optimizer = package.ScheduleFreeAdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    average = OptimizerAverage(net, optimizer)
    generator = torch.Generator().manual_seed(0)
    for iteration in range(1, 6):
        net(torch.randn(2, 3, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()
        net.zero_grad()
        before = [parameter.clone() for parameter in net.parameters()]
        average.update(iteration)
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))
    optimizer.eval()
    for ours, theirs in zip(average.network.state_dict().values(), net.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    assert not torch.equal(before[0], average.network.conv.weight)


def test_optimizers_average_is_the_mean_of_all_points():
    """With a constant rate, x is the plain mean of z."""
    package = pytest.importorskip("pytorch_optimizer")
    net = Scalar()
    optimizer = package.ScheduleFreeAdamW(net.parameters(), lr=0.1)
    average = OptimizerAverage(net, optimizer)
    average.update(0)
    assert torch.equal(average.network.weight, net.weight)
    points = []
    for iteration in range(1, 8):
        net.weight.square().sum().backward()
        optimizer.step()
        net.zero_grad()
        points.append(optimizer.state[net.weight]["z"].clone())
        average.update(iteration)
    expected = torch.stack(points).mean(0)
    torch.testing.assert_close(average.network.weight.detach(), expected, rtol=1e-5, atol=1e-6)
