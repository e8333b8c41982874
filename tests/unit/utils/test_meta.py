"""Networks are built without memory where only their shapes matter."""

import torch
from torch import nn

from traiNNer.utils.meta import parameter_count, shapes_only


def test_large_network_takes_no_memory_and_constructors_may_read_numbers():
    with shapes_only():
        layer = nn.Linear(200_000, 200_000)  # 160 GB
        rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
    assert layer.weight.device.type == "meta"
    assert rates == [0, 0.5, 1]
    assert torch.zeros(1).device.type == "cpu"


def test_frozen_parameters_are_counted_on_request():
    network = nn.Linear(3, 2)
    network.bias.requires_grad_(False)
    assert parameter_count(network) == 6
    assert parameter_count(network, trained=False) == 8
