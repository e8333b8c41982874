import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from traiNNer.losses.edges import GradientVarianceLoss, SobelEdgeLoss


def pair():
    return torch.rand(2, 2, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def derivative(images, axis):
    return sobel(images, axis=axis, mode="nearest")


def filtered(images):
    planes = images.double().numpy().reshape(-1, 16, 24)
    return np.stack([[derivative(plane, 1), derivative(plane, 0)] for plane in planes])


def test_sobel_agrees_with_scipy():
    output, target = pair()
    difference = filtered(output) - filtered(target)
    assert SobelEdgeLoss()(output, target).item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert SobelEdgeLoss("l2")(output, target).item() == pytest.approx(np.square(difference).mean(), rel=1e-5)


def test_sobel_tells_a_bright_line_from_a_dark_one():
    line = torch.zeros(1, 3, 8, 8)
    line[..., 4] = 0.2
    assert SobelEdgeLoss()(0.5 + line, 0.5 - line) > 0.1
    # Brightness is free.
    assert SobelEdgeLoss()(line + 0.1, line).item() < 1e-6


def variances(images, side):
    gray = np.einsum("c,bchw->bhw", [0.2989, 0.5870, 0.1140], images.double().numpy())
    found = []
    for plane in gray:
        for axis in (1, 0):
            edges = derivative(plane, axis)
            for top in range(0, 16, side):
                found += [edges[top : top + side, left : left + side].var(ddof=1) for left in range(0, 24, side)]
    return np.array(found)


@pytest.mark.parametrize("side", [8, 4])
def test_gradient_variance_agrees_with_numpy(side):
    output, target = pair()
    difference = variances(output, side) - variances(target, side)
    loss = GradientVarianceLoss(side, "l2")
    assert loss(output, target).item() == pytest.approx(2 * np.square(difference).mean(), rel=1e-4)
    absolute = 2 * np.abs(difference).mean()
    assert GradientVarianceLoss(side)(output, target).item() == pytest.approx(absolute, rel=1e-3)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="smaller than patch_size 32"):
        GradientVarianceLoss(32)(*pair())
