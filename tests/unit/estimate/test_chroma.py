"""How a JPEG stored color is recognized by its pixels."""

import cv2
import numpy as np
import pytest
from imagekit import photo

from traiNNer.estimate.chroma import _doubled, _halved, subsampling

FACTORS = {"444": 0x111111, "422": 0x211111, "420": 0x221111}


def stored(way, quality, name):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FACTORS[way]]
    data = cv2.imencode(".jpg", photo(name, (256, 256))[..., ::-1], options)[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("way", FACTORS)
@pytest.mark.parametrize("quality", [40, 75])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png"])
def test_way_is_told(name, quality, way):
    assert subsampling(stored(way, quality, name)) == way


def test_doubled_rows_are_libjpegs_triangle_and_halving_undoes_them():
    lines = np.array([[0.0], [4.0], [8.0]])
    assert _doubled(lines)[:, 0].tolist() == [0, 1, 3, 5, 7, 8]
    noise = np.random.default_rng(0).normal(size=(12, 5))
    assert np.allclose(_halved(_doubled(noise)), noise)


def test_gray_and_small_images_say_nothing():
    assert subsampling(np.repeat(photo(size=(128, 128))[..., :1], 3, axis=2)) is None
    assert subsampling(photo(size=(60, 128))) is None
