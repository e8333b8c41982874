import numpy as np
import pytest
import torch
from PIL import Image

from traiNNer.losses.downscaled import AverageLoss, BicubicLoss


def pair():
    return torch.rand(2, 1, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def test_average_compares_means_of_blocks():
    output, target = pair()
    difference = (output - target).double().numpy().reshape(1, 3, 6, 4, 8, 4).mean((3, 5))
    assert AverageLoss(4)(output, target).item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert AverageLoss(4, "l2")(output, target).item() == pytest.approx(np.square(difference).mean(), rel=1e-5)


def test_bicubic_agrees_with_pillow():
    output, target = pair()
    difference = (output - target)[0].numpy()
    small = [Image.fromarray(plane, "F").resize((8, 6), Image.Resampling.BICUBIC) for plane in difference]
    expected = np.abs(np.stack([np.asarray(plane) for plane in small])).mean()
    assert BicubicLoss(4)(output, target).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", [AverageLoss(2), BicubicLoss(2)])
def test_detail_is_free(loss):
    target = torch.full((1, 3, 16, 16), 0.5)
    checkers = (torch.arange(16)[:, None] + torch.arange(16)) % 2 - 0.5
    assert loss(target + checkers, target).item() < 0.02
    assert loss(target + 0.5, target).item() == pytest.approx(0.5, rel=1e-4)
