import pytest
import torch
from torch import nn

from traiNNer.config.options import OptimizerChoice, TrainSection
from traiNNer.engine.weight_average import OptimizerAverage, WeightAverage
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.run.averages import average_iter, build_average


def section(optimizer: str, **options) -> TrainSection:
    return TrainSection.model_construct(optim_g=OptimizerChoice(type=optimizer), **options)


@pytest.mark.parametrize(("decay", "kind"), [(0.9, WeightAverage), (0.0, type(None))])
def test_an_ema_where_its_decay_says_so(decay, kind):
    network = nn.Conv2d(3, 3, 1)
    optimizer = build_optimizer("adamw", {}, network.parameters())
    assert type(build_average("AdamW", decay, network, optimizer)) is kind


@pytest.mark.parametrize("decay", [0.9, 0.0])
def test_an_optimizers_average_takes_the_place_of_the_ema(decay):
    pytest.importorskip("pytorch_optimizer")
    network = nn.Conv2d(3, 3, 1)
    optimizer = build_optimizer("schedulefreeadamw", {}, network.parameters())
    average = build_average("ScheduleFreeAdamW", decay, network, optimizer)
    assert type(average) is OptimizerAverage
    assert torch.equal(average.network.weight, network.weight)


def test_how_long_the_average_remembers():
    assert average_iter(section("AdamW", ema_decay=0.99)) == pytest.approx(100)
    assert average_iter(section("AdamW", ema_decay=0.0)) == 0
    assert average_iter(section("ScheduleFreeAdamW", ema_decay=0.0, total_iter=500)) == 500
