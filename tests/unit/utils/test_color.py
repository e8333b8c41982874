import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from traiNNer.utils.color import rgb_to_y


def test_luma_agrees_with_scikit_image():
    image = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    luma = rgb_to_y(image)
    assert luma.dtype == np.float64
    np.testing.assert_allclose(luma, rgb2ycbcr(image)[..., 0], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("color", "expected"), [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81.481)])
def test_known_colors(color, expected):
    assert rgb_to_y(np.array([[color]], np.uint8))[0, 0] == pytest.approx(expected, abs=1e-12)
