"""Few colors, by definition."""

import cv2
import numpy as np
import pytest
import torch

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.quantize import Banding, Quantize, bayer

RAMP = torch.linspace(0, 1, 256).expand(1, 3, 64, 256).contiguous()


@pytest.mark.parametrize("dither", ["none", "ordered", "noise", "diffusion"])
def test_there_are_as_many_levels_as_asked_for(dither):
    made = Quantize(levels=(5, 5), dithers=(dither,))(RAMP, Draws([1], "q"))
    assert np.allclose(np.unique(made.numpy()), np.linspace(0, 1, 5))
    mean = made.mean(dim=(0, 1, 2))
    error = (mean - RAMP[0, 0, 0]).abs()
    # A step without dithering is wrong by up to half its height; with it a mean over rows is right everywhere.
    assert (error.max() > 0.1) == (dither == "none")
    assert error.max() < 0.13


def test_plain_levels_are_the_nearest():
    made = Quantize(levels=(9, 9), dithers=("none",))(RAMP, Draws([1], "q"))
    assert (made - RAMP).abs().max() <= 0.5 / 8 + 1e-6


def test_the_pattern_is_bayers():
    assert (bayer() * 64 - 0.5)[:2, :2].tolist() == [[0, 32], [48, 16]]
    assert sorted((bayer() * 64 - 0.5).ravel()) == list(range(64))


def test_gradients_become_bands_and_detail_stays():
    made = Banding(levels=(9, 9), sigma=(2, 2))(RAMP, Draws([1], "b"))[0, 0, 0].numpy()
    inside = made[10:-10]
    assert (np.abs(np.diff(inside)) > 0.1).sum() >= 6  # edges of bands
    ramp = RAMP[0].permute(1, 2, 0).numpy()
    smooth = cv2.GaussianBlur(ramp, (13, 13), 2, borderType=cv2.BORDER_REPLICATE)
    wanted = ramp + np.rint(smooth * 8) / 8 - smooth
    assert np.mean(np.abs(made - wanted[0, :, 0]) > 1e-3) < 0.02  # a pixel on the edge of a band may fall either way
    dot = RAMP.clone()
    dot[..., 30, 100] += 0.3
    other = Banding(levels=(9, 9), sigma=(2, 2))(dot, Draws([1], "b"))[0, 0]
    assert (other[30, 100] - other[30, 90]).item() > 0.15


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Quantize, {"levels": (9, 5)}), (Quantize, {"dither_weights": (1.0,)}), (Banding, {"sigma": (0.0, 1.0)})],
)
def test_impossible_options_are_refused(kind, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        kind(**options)
