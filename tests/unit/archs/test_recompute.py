import pytest
import torch
from torch import nn

from traiNNer.archs.recompute import blocks, recompute_blocks
from traiNNer.registry import ARCHS

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")
ARCH_NAMES = ("paragonsr2_nano", "span", "esrgan", "rcan", "swinir_s", "realplksr", "safmn", "spanplus", "man")
SMALL = {
    "esrgan": {"num_blocks": 2, "num_filters": 8},
    "rcan": {"n_resgroups": 2, "n_resblocks": 2, "n_feats": 16},
    "swinir_s": {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2]},
    "realplksr": {"dim": 16, "n_blocks": 2},
    "man": {"n_resblocks": 2, "n_resgroups": 1, "n_feats": 24},
}


class Step(nn.Module):
    """A block with everything that a second forward could spoil: statistics, random numbers, a named argument."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout(0.3)
        self.register_buffer("scale", torch.ones(()))
        self.calls = 0

    def forward(self, x, factor=1.0):
        self.calls += 1
        if self.training:
            self.scale.mul_(1.5)  # what is used is what was moved: computed again it would be moved twice
        return x + self.second(self.drop(self.norm(self.first(x)))) * self.scale * factor


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList(Step() for _ in range(3))

    def forward(self, x):
        for block in self.body:
            x = block(x, factor=0.5)
        return x


def trained(network, x):
    torch.manual_seed(1)
    output = network.train()(x)
    output.square().mean().backward()
    drawn = torch.rand(())
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return output, drawn, gradients, [buffer.clone() for buffer in network.buffers()]


def assert_same(first, second):
    for one, two in zip(first, second, strict=True):
        pairs = zip(one, two, strict=True) if isinstance(one, list) else [(one, two)]
        assert all(torch.equal(a, b) for a, b in pairs)


def test_outputs_gradients_statistics_and_random_numbers_are_those_of_one_forward():
    torch.manual_seed(0)
    plain, twice = Net(), Net()
    twice.load_state_dict(plain.state_dict())
    names = list(twice.state_dict())
    assert recompute_blocks(twice) == 3
    assert list(twice.state_dict()) == names
    assert all(isinstance(block, Step) for block in twice.body)
    x = torch.randn(2, 4, 6, 6)
    assert_same(trained(plain, x), trained(twice, x))
    assert [block.calls for block in plain.body] == [1, 1, 1]
    assert [block.calls for block in twice.body] == [2, 2, 2]
    twice.eval()
    with torch.no_grad():
        twice(x)
    assert [block.calls for block in twice.body] == [3, 3, 3]


@pytest.mark.parametrize("name", ARCH_NAMES)
def test_networks_train_as_without(name):
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(ARCHS.build(name, SMALL.get(name), scale=2))
    assert recompute_blocks(made[1])
    x = torch.rand(2, 3, 16, 16)
    assert_same(trained(made[0], x), trained(made[1], x))


def test_block_whose_input_is_overwritten_is_refused():
    class Overwriting(Net):
        def forward(self, x):
            x = self.body[0](x * 1)
            y = self.body[1](x)
            x.add_(1)
            return y

    network = Overwriting()
    recompute_blocks(network)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        trained(network, torch.randn(1, 4, 6, 6))


def test_network_without_repeated_blocks_has_none():
    assert blocks(nn.Sequential(nn.Conv2d(3, 3, 1), nn.PReLU(), nn.Conv2d(3, 3, 1))) == []
