"""Statistics of a network move once a step, however the batch is cut: parameters and buffers of a whole batch."""

from functools import cache

import pytest
import torch
from enginekit import stepper_of
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from traiNNer import build_network
from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import MICRO_BATCH, Knobs
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.statistics import StepStatistics


class DoubleRuntime(Runtime):
    """Computes in float64, so that the order of a sum is all that can differ."""

    def to_float(self, images):
        return images.permute(0, 3, 1, 2).double().div(255)


class FailsOnce(nn.Module):
    """A network that runs out of memory in one call."""

    def __init__(self, network) -> None:
        super().__init__()
        self.network, self.fails = network, False

    def forward(self, lq):
        output = self.network(lq)
        if self.fails:
            self.fails = False
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return output


def images(seed, count=8):
    generator = torch.Generator().manual_seed(seed)
    lq = torch.randint(0, 256, (count, 12, 12, 3), dtype=torch.uint8, generator=generator)
    gt = torch.randint(0, 256, (count, 24, 24, 3), dtype=torch.uint8, generator=generator)
    return Batch(lq, gt, tuple(str(index) for index in range(count)))


def made():
    torch.manual_seed(0)
    network = FailsOnce(build_network("paragonsr2", scale=2, num_feat=8, num_groups=1, num_blocks=2)).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    knobs = Knobs(batch_size=8)

    def divide():
        knobs[MICRO_BATCH].set(3, 0)
        return True

    def l1(output, target, **_):
        return {"l1": (output - target).abs().mean()}

    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    return network, stepper_of(network, l1, optimizer, knobs, DoubleRuntime(torch.device("cpu"), ""), divide), knobs


def state(network):
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@cache
def whole():
    network, stepper, _ = made()
    for step in range(4):
        stepper.step([images(step)])
    return state(network)


def retried():
    network, stepper, knobs = made()
    for step in range(4):
        knobs[MICRO_BATCH].set(8, 0)
        network.fails = True
        stepper.step([images(step)])
        assert knobs[MICRO_BATCH].value == 3
    return state(network)


def accumulated():
    network, stepper, _ = made()
    for step in range(4):
        batch = images(step)
        stepper.step([batch.part(0, 4), batch.part(4, 8)])
    return state(network)


@pytest.mark.parametrize("way", [retried, accumulated])
def test_parameters_and_buffers_are_those_of_a_whole_batch(way):
    expected = whole()
    assert any("tracked_kernel" in name for name in expected)
    torch.testing.assert_close(way(), expected, rtol=0, atol=1e-12)


def test_moves_add_up_by_their_shares_and_flags_keep_their_last_value():
    mean, flag = torch.tensor([1.0]), torch.tensor(False)
    statistics = StepStatistics([mean, flag])
    for share, value in ((0.75, 2.0), (0.25, 5.0)):
        statistics.restore()
        assert (mean.item(), flag.item()) == (1.0, False)
        mean.fill_(value)
        flag.fill_(True)
        statistics.note(share)
    statistics.finish()
    assert (mean.item(), flag.item()) == (2.75, True)
    statistics.forget()
    statistics.finish()
    assert (mean.item(), flag.item()) == (1.0, False)


def test_buffers_are_copied_in_one_call_for_each_type():
    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            names.append(function.name())
            return function(*args, **(kwargs or {}))

    names: list[str] = []
    buffers = [torch.rand(3, 2).t(), torch.rand(4), torch.tensor(True), torch.tensor(5), torch.tensor(False)]
    with Calls():
        statistics = StepStatistics(buffers)
    assert [name for name in names if "copy" in name] == ["aten::_foreach_copy_"] * 3
    assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(statistics.before, buffers, strict=True))
    kept = [buffer.clone() for buffer in buffers]
    for buffer in buffers:
        buffer.zero_()
    statistics.restore()
    assert all(torch.equal(a, b) for a, b in zip(buffers, kept, strict=True))
