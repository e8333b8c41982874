"""Chroma subsampling against OpenCV, plane by plane."""

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from traiNNer.degradations.chroma import FACTORS, Chroma
from traiNNer.degradations.draws import Draws

PHOTO = astronaut()[20:100, 130:210].astype(np.float32) / 255


def made(name, image=PHOTO):
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    return Chroma(subsampling=(name,))(pixels, Draws([1], "chroma"))[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", FACTORS)
def test_as_opencv_shrinks_and_enlarges_cb_and_cr(name):
    down, across = FACTORS[name]
    planes = cv2.cvtColor(PHOTO, cv2.COLOR_RGB2YCrCb)
    height, width = PHOTO.shape[:2]
    for place in (1, 2):
        small = cv2.resize(planes[..., place], (width // across, height // down), interpolation=cv2.INTER_AREA)
        planes[..., place] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(made(name), cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), atol=2e-3)


@pytest.mark.parametrize("name", FACTORS)
def test_gray_images_and_brightness_stay(name):
    gray = np.repeat(PHOTO[..., :1], 3, axis=2)
    assert np.allclose(made(name, gray), gray, atol=1e-6)
    luma = np.array([0.299, 0.587, 0.114])
    odd = np.ascontiguousarray(PHOTO[:37, :41])
    assert np.allclose(made(name, odd) @ luma, odd @ luma, atol=1e-5)
    assert np.abs(made(name, odd) - odd).max() > 0.02


def test_every_image_has_its_own():
    chroma = Chroma(subsampling=("422", "410"), subsampling_weights=(1, 2))
    pixels = torch.from_numpy(PHOTO).permute(2, 0, 1).expand(6, 3, 80, 80)
    images = chroma(pixels, draws := Draws(range(6), "chroma", notes := {}))
    drawn = dict(notes["chroma"])["subsampling"]
    assert len(set(drawn)) == 2
    for place, name in enumerate(drawn):
        assert np.allclose(images[place].permute(1, 2, 0).numpy(), made(name), atol=1e-6)
    assert len(draws) == 6


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="subsampling_weights"):
        Chroma(subsampling_weights=(1.0,))
