import numpy as np
import pytest

from traiNNer.metrics.protocol import comparable, lumas


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_border_is_left_out_on_every_side():
    first, second = comparable(image(9, 12), image(9, 12, 1), 2)
    assert np.array_equal(first, image(9, 12)[2:7, 2:10])
    assert np.array_equal(second, image(9, 12, 1)[2:7, 2:10])
    assert comparable(image(9, 12), image(9, 12), 0)[0].shape == (9, 12, 3)


def test_luma_has_no_channels():
    assert lumas(*comparable(image(9, 12), image(9, 12), 1))[0].shape == (7, 10)


def test_incomparable_runs_are_reported():
    with pytest.raises(ValueError, match="there is none"):
        comparable(image(8, 8), None, 0)
    with pytest.raises(ValueError, match="output is 8x9 but the ground truth is 8x8"):
        comparable(image(9, 8), image(8, 8), 0)
    with pytest.raises(ValueError, match="8x4 has nothing left inside crop_border 2"):
        comparable(image(4, 8), image(4, 8), 2)
