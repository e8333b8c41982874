"""Real codecs: what comes out is what Pillow reads from such a file."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from traiNNer.degradations.codec import Codec, written
from traiNNer.degradations.draws import Draws

PHOTO = astronaut()[:70, 150:241]


@pytest.mark.parametrize(("kind", "close"), [("jpeg", 0.2), ("webp", 0.5)])
def test_a_file_is_as_pillow_writes_and_reads_it(kind, close):
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, kind.upper(), quality=40)
    wanted = np.asarray(Image.open(file).convert("RGB")).astype(float)
    assert np.abs(written(PHOTO, kind, 40) - wanted).mean() < close
    assert np.abs(PHOTO - wanted).mean() > 2


def test_every_image_has_its_format_and_quality():
    images = torch.from_numpy(np.stack([PHOTO] * 6)).permute(0, 3, 1, 2).float() / 255
    made = Codec(formats=("jpeg", "webp"))(images, Draws(range(6), "codec", notes := {}))
    drawn = dict(notes["codec"])
    assert set(drawn["format"]) == {"jpeg", "webp"}
    for image, kind, quality in zip(made, drawn["format"], drawn["quality"], strict=True):
        wanted = written(PHOTO, kind, int(quality))
        assert np.array_equal(np.rint(image.permute(1, 2, 0).numpy() * 255), wanted)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="quality"):
        Codec(quality=(50, 20))
