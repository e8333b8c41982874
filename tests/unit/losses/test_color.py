import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr

from traiNNer.losses.color import ColorLoss


def chroma(images, scale):
    planes = rgb2ycbcr(images.double().numpy().transpose(0, 2, 3, 1))[..., 1:] / 255
    batch, height, width, _ = planes.shape
    return planes.reshape(batch, height // scale, scale, width // scale, scale, 2).mean((2, 4))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_is_the_difference_of_chroma_in_blocks(scale):
    output, target = torch.rand(2, 2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    expected = np.abs(chroma(output, scale) - chroma(target, scale)).mean()
    assert ColorLoss(scale)(output, target).item() == pytest.approx(expected, rel=1e-4)


def test_brightness_is_free():
    target = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert ColorLoss(2)(target + 0.1, target).item() < 1e-6
    assert ColorLoss(2)(target + torch.tensor([0.1, 0, 0]).view(3, 1, 1), target).item() > 1e-2
