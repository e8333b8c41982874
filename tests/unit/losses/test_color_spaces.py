import numpy as np
import pytest
import torch
from skimage.color import rgb2lab, rgb2luv

from traiNNer.losses.color_spaces import hsluv_saturation, lightness, luv, oklab

# Hue in degrees, saturation and lightness in percent: the package hsluv 5.0.5.
HSLUV = {
    (1.0, 0.0, 0.0): (12.177050630061776, 100.0, 53.23711559542933),
    (0.0, 1.0, 0.0): (127.71501294924047, 100.0, 87.73551910965973),
    (0.0, 0.0, 1.0): (265.8743202181779, 100.0, 32.30087290398002),
    (0.8, 0.4, 0.2): (26.457750974550088, 83.54633443359083, 54.63814946478884),
    (0.26590402, 0.08975201, 0.03717576): (20.31304093, 82.69438331, 14.68635208),
}
# Linear sRGB to Oklab by the matrices of https://bottosson.github.io/posts/oklab, whose page gives red and blue so.
OKLAB = {
    (1.0, 0.0, 0.0): (0.62796, 0.22486, 0.12585),
    (0.0, 0.0, 1.0): (0.45201, -0.03246, -0.31153),
    (1.0, 1.0, 1.0): (1.0, 0.0, 0.0),
}


def pixel(color):
    return torch.tensor(color).view(1, 3, 1, 1)


def colors():
    return torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))


def planes_of(convert, images):
    return convert(images[0].permute(1, 2, 0).double().numpy()).transpose(2, 0, 1)[None]


def test_luv_and_lightness_agree_with_scikit_image():
    images = colors()
    # Its white point has fewer digits.
    np.testing.assert_allclose(luv(images), planes_of(rgb2luv, images), atol=0.15)
    np.testing.assert_allclose(lightness(images), planes_of(rgb2lab, images)[:, :1], atol=0.01)


@pytest.mark.parametrize(("color", "expected"), HSLUV.items())
def test_hsluv_agrees_with_the_package(color, expected):
    planes = luv(pixel(color))
    light, u, v = planes.flatten().tolist()
    assert np.degrees(np.arctan2(v, u)) % 360 == pytest.approx(expected[0], abs=0.01)
    assert 100 * hsluv_saturation(planes).item() == pytest.approx(expected[1], abs=0.3)
    assert light == pytest.approx(expected[2], abs=1e-3)


def test_gray_has_no_saturation_and_no_color_exceeds_one():
    assert hsluv_saturation(luv(pixel([0.5, 0.5, 0.5]))).item() == pytest.approx(0, abs=1e-4)
    assert hsluv_saturation(luv(colors())).max() < 1.001


@pytest.mark.parametrize(("color", "expected"), OKLAB.items())
def test_oklab_agrees_with_its_author(color, expected):
    assert oklab(pixel(color)).flatten().tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("convert", [lightness, luv, oklab, lambda images: hsluv_saturation(luv(images))])
def test_gradients_are_finite_everywhere(convert):
    levels = torch.tensor([-0.5, -0.01, 0.0, 0.001, 0.04045, 0.5, 1.0, 1.3])
    images = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, -1, 1).requires_grad_()
    convert(images).sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
