"""What a rank sends and when, with a stand-in for the other rank that has the same gradients."""

import pytest
import torch
from torch import nn

from traiNNer.engine.runtime import buckets
from traiNNer.engine.runtime.buckets import GradientAverage


class Ranks:
    """Two ranks; how many gradients were averaged at once, after backward."""

    world = 2

    def __init__(self):
        self.averaged = []

    def average(self, tensors):
        self.averaged.append(len(tensors))


class Work:
    def wait(self):
        return True


@pytest.fixture
def sent(monkeypatch):
    """The sizes of the buckets that were sent, in order. The sum over the two ranks is twice this one's."""
    sizes = []

    def all_reduce(flat, async_op):
        assert async_op
        sizes.append(flat.numel())
        flat.mul_(2)
        return Work()

    monkeypatch.setattr(buckets, "LARGE_BYTES", 0)
    monkeypatch.setattr(buckets, "BUCKET_BYTES", 4 * 20)
    monkeypatch.setattr(buckets.dist, "all_reduce", all_reduce)
    return sizes


def network_of():
    """Layers of 12, 20 and 6 parameters; the last one is not used."""
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 5), nn.Linear(1, 3))
    return layers, lambda x: layers[1](layers[0](x)).square().mean()


def step(average, network, losses, is_last=True):
    average.begin()
    network.zero_grad()
    for loss in losses:
        with average.backward(is_last):
            loss().backward()
    expected = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    average.finish([p.grad for p in network.parameters() if p.grad is not None])
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)


def test_buckets_are_sent_in_order_and_give_the_mean(sent):
    network, loss = network_of()
    ranks = Ranks()
    average = GradientAverage(ranks, list(network.parameters()))
    assert average.is_overlapped
    step(average, network, [lambda: loss(torch.ones(2, 3))])
    assert sent == [6 + 5, 15 + 3, 9]
    assert ranks.averaged == []


def test_first_bucket_leaves_before_backward_is_over(sent):
    network, _ = network_of()
    first, second = network[0], network[1]
    average = GradientAverage(Ranks(), [*first.parameters(), *second.parameters()])
    seen = []

    def loss():
        hidden = first(torch.ones(2, 3))
        hidden.register_hook(lambda _: seen.append(list(sent)))
        return second(hidden).square().mean()

    step(average, network, [loss])
    assert seen == [[5 + 15]]
    assert sent == [5 + 15, 3 + 9]


def test_one_backward_more_than_expected_discards_what_was_sent(sent):
    network, loss = network_of()
    ranks = Ranks()
    average = GradientAverage(ranks, list(network.parameters()))
    phases = [lambda: loss(torch.ones(2, 3)), lambda: loss(torch.zeros(2, 3))]
    step(average, network, phases)
    assert (len(sent), ranks.averaged) == (3, [4])
    step(average, network, phases)  # now it is known which one is the last
    assert (len(sent), ranks.averaged) == (6, [4])
    step(average, network, phases[:1])
    assert (len(sent), ranks.averaged) == (6, [4, 4])


def test_step_that_may_be_done_again_is_averaged_afterwards(sent):
    network, loss = network_of()
    ranks = Ranks()
    average = GradientAverage(ranks, list(network.parameters()))
    step(average, network, [lambda: loss(torch.ones(2, 3))], is_last=False)
    assert (sent, ranks.averaged) == ([], [4])


def test_small_networks_have_no_buckets(sent, monkeypatch):
    monkeypatch.setattr(buckets, "LARGE_BYTES", 10_000)
    network, loss = network_of()
    ranks = Ranks()
    average = GradientAverage(ranks, list(network.parameters()))
    assert not average.is_overlapped
    step(average, network, [lambda: loss(torch.ones(2, 3))])
    assert (sent, ranks.averaged) == ([], [4])
