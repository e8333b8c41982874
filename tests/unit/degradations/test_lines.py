"""Thick lines against OpenCV's morphology."""

import cv2
import numpy as np
import pytest
import torch

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.lines import ThickLines, dilated


def test_morphology_is_opencvs():
    image = np.random.default_rng(0).random((20, 17), dtype=np.float32)
    for radius in (1, 3):
        square = np.ones((2 * radius + 1, 2 * radius + 1))
        pixels = torch.from_numpy(image)[None, None]
        assert np.array_equal(dilated(pixels, radius)[0, 0].numpy(), cv2.dilate(image, square))
        assert np.array_equal((-dilated(-pixels, radius))[0, 0].numpy(), cv2.erode(image, square))


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_line_grows_on_both_sides_and_an_area_stays(pixels):
    image = torch.ones(1, 3, 30, 60)
    image[..., 10] = 0.2
    image[..., 35:] = 0.2
    made = ThickLines(pixels=(pixels, pixels), strength=(1, 1))(image, Draws([1], "lines"))
    assert torch.allclose(made[..., 10 - pixels : 11 + pixels], torch.tensor(0.2))
    assert (made[..., : 10 - pixels] == 1).all()
    assert torch.equal(made[..., 11 + pixels :], image[..., 11 + pixels :])
    half = ThickLines(pixels=(pixels, pixels), strength=(0.5, 0.5))(image, Draws([1], "lines"))
    assert half[0, 0, 0, 10 - pixels].item() == pytest.approx(0.6)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="pixels"):
        ThickLines(pixels=(0, 1))
