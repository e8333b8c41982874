"""The parts of SCUNet_aaf6aa that spandrel's SCUNet lacks."""

import torch
from torch import nn

from traiNNer.archs.spandrel.scunet_upscaling import DenseBlock, Doubling, Enlarging, Noise


def test_sizes():
    x = torch.rand(1, 8, 5, 6)
    assert Doubling(8, 4)(x).shape == (1, 4, 10, 12)
    assert DenseBlock(8)(x).shape == x.shape
    assert [Enlarging(8, scale)(x).shape[-1] for scale in (2, 4, 8)] == [12, 24, 48]


def test_noise_is_for_training():
    layer, x = nn.Identity(), torch.zeros(1, 3, 64, 64)
    layer.register_forward_hook(Noise(0.1))
    torch.manual_seed(0)
    assert abs(layer.train()(x).std().item() - 0.1) < 0.003
    assert torch.equal(layer.eval()(x), x)
