"""JPEG against libjpeg, as Pillow brings it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from skimage.data import astronaut

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.jpeg import CHROMA, LUMA, Jpeg, by_libjpeg, compressed, table

PILLOWS = {"444": 0, "422": 1, "420": 2}
CLOSE = 0.75  # mean gray levels; 1.5 are allowed
PHOTO = astronaut()[20:223, 130:347]
"""Sides that are no multiples of 16."""


def pixels(image):
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]


def libjpeg(image, quality, subsampling):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=PILLOWS[subsampling])
    file.seek(0)
    return JpegImageFile(file)


@pytest.mark.parametrize("subsampling", PILLOWS)
@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_agrees_with_libjpeg(quality, subsampling):
    wanted = np.asarray(libjpeg(PHOTO, quality, subsampling).convert("RGB")).astype(float)
    made = compressed(pixels(PHOTO), np.array([quality]), subsampling)[0].permute(1, 2, 0).numpy() * 255
    lost = np.abs(wanted - PHOTO).mean()
    assert np.abs(made - wanted).mean() < min(CLOSE, lost / 2)
    assert made.mean() == pytest.approx(wanted.mean(), abs=0.2)


@pytest.mark.parametrize("subsampling", PILLOWS)
def test_single_images_are_libjpegs(subsampling):
    wanted = np.asarray(libjpeg(PHOTO, 60, subsampling).convert("RGB")).astype(float)
    made = by_libjpeg(pixels(PHOTO), 60, subsampling)[0].permute(1, 2, 0).numpy() * 255
    # Two builds of the library may round a transform in different ways.
    assert np.abs(made - wanted).mean() < 0.05


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 100])
def test_tables_are_libjpegs(quality):
    theirs = libjpeg(PHOTO[:16, :16], quality, "420").quantization
    for number, base in enumerate((LUMA, CHROMA)):
        ours = table(base, np.array([quality]), torch.zeros(1)).view(8, 8).numpy()
        assert sorted(ours.ravel()) == sorted(theirs[number])
        assert ours[0, 0] == theirs[number][0]


def test_every_image_has_its_quality_and_subsampling():
    images = torch.cat([pixels(PHOTO[top : top + 40, :40]) for top in range(0, 160, 40)])
    jpeg = Jpeg(quality=(10, 95), subsampling=("444", "420"))
    draws = Draws([1, 2, 3, 4], "jpeg", notes := {})
    together = jpeg(images, draws)
    drawn = dict(notes["jpeg"])
    assert len(set(drawn["subsampling"])) == 2
    for place in range(4):
        quality = drawn["quality"][place : place + 1]
        alone = compressed(images[place : place + 1], quality, drawn["subsampling"][place])
        assert torch.allclose(together[place], alone[0], atol=1e-6)


@pytest.mark.parametrize("options", [{"quality": (80, 20)}, {"subsampling_weights": (1.0, 2.0)}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Jpeg(**options)
