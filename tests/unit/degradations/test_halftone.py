"""Halftone: dots cover as much as there is ink, at the distance asked for."""

import numpy as np
import pytest
import torch

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.halftone import Halftone


def printed(value, **options):
    options = {"period": (5.0, 5.0), "strength": (1, 1)} | options
    return Halftone(**options)(torch.full((1, 3, 200, 200), value), Draws([4], "h"))


@pytest.mark.parametrize("softness", [0.0, 0.3])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.35, 0.5, 0.8, 1.0])
def test_dots_cover_as_much_as_there_is_ink(value, softness):
    assert torch.allclose(printed(value, softness=softness).mean(dim=(0, 2, 3)), torch.tensor(value), atol=0.02)


def test_hard_dots_are_ink_or_paper():
    made = printed(0.5, softness=0.0)
    assert ((made < 0.01) | (made > 0.99)).float().mean() > 0.99


def test_dots_have_their_distance_and_each_color_its_angle():
    made = printed(0.5)[0].numpy()
    angles = []
    for plane in made:
        power = np.abs(np.fft.fft2(plane - plane.mean(), (512, 512)))
        row, column = np.unravel_index(power[:256].argmax(), (256, 512))
        y, x = np.fft.fftfreq(512)[row], np.fft.fftfreq(512)[column]
        assert np.hypot(x, y) == pytest.approx(1 / 5, rel=0.02)
        angles.append(np.degrees(np.arctan2(y, x)) % 90)
    between = (np.array(angles) - angles[2]) % 90
    assert np.allclose(between[:2], (15, 75), atol=1.5)


def test_strength_is_a_share():
    assert torch.allclose(printed(0.4, strength=(0.5, 0.5)), (printed(0.4) + 0.4) / 2, atol=1e-6)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="period"):
        Halftone(period=(1.0, 3.0))
