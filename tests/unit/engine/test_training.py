from typing import Any

import pytest
import torch
from bookkit import Book
from enginekit import stepper_of
from torch import nn

from traiNNer.batch import Batch, BatchPlan
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.snapshot import Snapshot
from traiNNer.engine.training import Training
from traiNNer.engine.window import NonfiniteWatch


class Watched(nn.Module):
    """One convolution that notes the sizes it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.seen = nn.Conv2d(3, 3, 1), []

    def forward(self, lq):
        self.seen.append(tuple(lq.shape))
        return self.conv(lq)


@pytest.mark.parametrize(("largest", "side"), [(None, 4), (4, 4), (12, 12)])
def test_memory_warm_up_has_the_largest_crops_and_leaves_no_trace(monkeypatch, largest, side):
    monkeypatch.setattr(Runtime, "has_memory", True)
    network, runtime = Watched(), Runtime(torch.device("cpu"), "test")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    stepper = stepper_of(
        network, lambda output, target, **_: {"l1": (output - target).abs().mean()}, optimizer, runtime=runtime
    )
    stepper.on_out_of_memory = lambda: False
    snapshot = Snapshot(stepper.learners, stepper.model)
    book: Any = Book()
    training = Training(runtime, stepper, snapshot, NonfiniteWatch(3, 1), book, BatchPlan(2), largest_crop=largest)
    before = network.conv.weight.detach().clone()
    images = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    training.warm_up_memory([Batch(images, images.clone(), ("a", "b"), seeds=(0, 1))])
    assert network.seen == [(2, 3, side, side)]
    assert torch.equal(network.conv.weight, before)
