import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from traiNNer.losses.luma import LumaLoss


def test_is_the_difference_of_cie_lightness():
    output, target = torch.rand(2, 2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    found, wanted = (
        rgb2lab(images.double().numpy().transpose(0, 2, 3, 1))[..., 0] / 100 for images in (output, target)
    )
    assert LumaLoss()(output, target).item() == pytest.approx(np.abs(found - wanted).mean(), rel=1e-4)
    assert LumaLoss("l2")(output, target).item() == pytest.approx(np.square(found - wanted).mean(), rel=1e-4)
