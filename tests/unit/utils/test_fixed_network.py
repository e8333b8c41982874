import pytest
import torch
from torch import nn

from traiNNer.utils.fixed_network import fix, take


def test_nothing_is_left_to_train_save_or_draw():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.Dropout(0.9), nn.Conv2d(4, 1, 1)))
    images = torch.rand(2, 3, 5, 5)
    expected = network.eval()(images).detach()
    assert fix(network) is network
    assert not list(network.parameters())
    assert not network.state_dict()
    assert torch.equal(network(images), expected)
    network.train()
    network[1].eval()
    assert torch.equal(network(images), expected)
    assert network.double()(images.double()).dtype is torch.float64


def test_take_names_what_is_wrong():
    own = torch.zeros(2, 3)
    assert take({"a": own}, "a", torch.empty(2, 3, device="meta"), "X") is own
    with pytest.raises(ValueError, match="does not fit X: 'b' is missing"):
        take({"a": own}, "b", own, "X")
    with pytest.raises(ValueError, match=r"does not fit X: 'a' has shape \(2, 3\), not \(3,\)"):
        take({"a": own}, "a", torch.zeros(3), "X")
